//! Advisories as the server sends them.

use super::*;

#[test]
fn advisories_read_as_those_of_the_server() {
    let event = MessageTerminated {
        stream: "x",
        consumer: "d",
        consumer_seq: 2,
        stream_seq: 3,
        deliveries: 1,
        reason: "bad",
        domain: "",
    };
    let text = encode_event(&event, "Pqx1L5ObhDziU87upGRUv2", Wall(1_000_000_000));
    let wanted = "{\"type\":\"io.nats.jetstream.advisory.v1.terminated\",\
        \"id\":\"Pqx1L5ObhDziU87upGRUv2\",\"timestamp\":\"1970-01-01T00:00:01Z\",\
        \"stream\":\"x\",\"consumer\":\"d\",\"consumer_seq\":2,\"stream_seq\":3,\
        \"deliveries\":1,\"reason\":\"bad\"}";
    assert_eq!(core::str::from_utf8(&text), Ok(wanted));
    let mut subject = BytesMut::new();
    event.write_subject(&mut subject);
    assert_eq!(
        subject,
        &b"$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.x.d"[..]
    );
}

#[test]
fn audits_leave_out_empty_bodies() {
    let client = ClientInfo {
        id: 7,
        account: "$G".into(),
        ..ClientInfo::default()
    };
    let event = ApiAudit {
        server: "N",
        client: Some(&client),
        subject: "$JS.API.INFO",
        request: "",
        response: "{}",
        domain: "",
    };
    let text = encode_event(&event, "i", Wall(0));
    let wanted = "{\"type\":\"io.nats.jetstream.advisory.v1.api_audit\",\"id\":\"i\",\
        \"timestamp\":\"0001-01-01T00:00:00Z\",\"server\":\"N\",\
        \"client\":{\"id\":7,\"acc\":\"$G\"},\"subject\":\"$JS.API.INFO\",\"response\":\"{}\"}";
    assert_eq!(core::str::from_utf8(&text), Ok(wanted));
}

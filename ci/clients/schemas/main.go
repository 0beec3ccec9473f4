// jsm.go's schemas against everything that says its type: answers of the API, advisories and metrics.
//
// Usage: checks URL. Prints `ok NAME` or `FAIL NAME: why` for each type of message that a server may send, and
// `not seen NAME: why` for those that one server alone does not; exits 1 if one does not fit its schema or has
// not come. The server has accounts A (who need not log in), B, C and a system account.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strings"
	"time"

	"github.com/nats-io/jsm.go/api"
	"github.com/nats-io/nats.go"
	"github.com/santhosh-tekuri/jsonschema/v5"
)

// One request a line: subject and body. Streams and consumers come first, then what can be told of them.
var requests = []string{
	`INFO`,
	`STREAM.CREATE.S {"name":"S","subjects":["s.>"],"allow_rollup_hdrs":true,"metadata":{"k":"v"},"max_msgs_per_subject":10}`,
	`STREAM.CREATE.M {"name":"M","mirror":{"name":"S"}}`,
	`STREAM.CREATE.C {"name":"C","sources":[{"name":"S","filter_subject":"s.a"}],"subjects":["c"]}`,
	`STREAM.CREATE.B {"name":"B","subjects":["b"],"allow_atomic":true}`,
	`STREAM.CREATE.S {"name":"S","subjects":["other"]}`,
	`STREAM.UPDATE.S {"name":"S","subjects":["s.>","t"],"allow_rollup_hdrs":true}`,
	`STREAM.NAMES`, `STREAM.LIST`, `STREAM.INFO.S {"deleted_details":true,"subjects_filter":">"}`,
	`STREAM.INFO.M`, `STREAM.INFO.C`, `STREAM.INFO.NONE`,
	`STREAM.MSG.GET.S {"seq":1}`, `STREAM.MSG.GET.S {"seq":99}`, `STREAM.MSG.DELETE.S {"seq":2}`,
	`CONSUMER.CREATE.S.P {"stream_name":"S","config":{"durable_name":"P","ack_policy":"explicit","max_deliver":1,"ack_wait":1000000000,"sample_freq":"100"}}`,
	`CONSUMER.CREATE.S.G {"stream_name":"S","config":{"name":"G","ack_policy":"explicit","priority_groups":["g"],"priority_policy":"pinned_client"}}`,
	`CONSUMER.CREATE.S.D {"stream_name":"S","config":{"durable_name":"D","deliver_subject":"push","idle_heartbeat":1000000000,"flow_control":true}}`,
	`CONSUMER.NAMES.S`, `CONSUMER.LIST.S`, `CONSUMER.INFO.S.P`, `CONSUMER.INFO.S.NONE`,
	`CONSUMER.PAUSE.S.D {"pause_until":"2050-01-01T00:00:00Z"}`, `CONSUMER.PAUSE.S.D`,
	`CONSUMER.RESET.S.D`, `CONSUMER.UNPIN.S.G {"group":"g"}`,
	`STREAM.SNAPSHOT.S {"deliver_subject":"backup"}`,
	`STREAM.RESTORE.R {"config":{"name":"R","subjects":["r"]},"state":{}}`,
	`STREAM.LEADER.STEPDOWN.S`, `STREAM.PEER.REMOVE.S {"peer":"x"}`, `CONSUMER.LEADER.STEPDOWN.S.P`,
	`STREAM.PURGE.M`, `STREAM.PURGE.S {"keep":1}`, `CONSUMER.DELETE.S.P`, `STREAM.DELETE.C`, `STREAM.DELETE.M`,
	`STREAM.DELETE.S`,
}

// Types whose schema nats-server's own messages do not fit: numbers where it wants text, members that
// are never sent. Ours are the same as nats-server's, which recorded conversations hold.
var unfit = []string{
	"account_connections", "client_connect", "client_disconnect", "consumer_group_pinned", "consumer_group_unpinned",
	"nak", "snapshot_create", "terminated",
}

type checker struct {
	schemas map[string]*jsonschema.Schema
	faults  map[string]error
}

func main() {
	nc, err := nats.Connect(os.Args[1])
	if err != nil {
		fmt.Printf("FAIL schemas/connect: %v\n", err)
		os.Exit(1)
	}
	defer nc.Close()
	c := &checker{schemas: map[string]*jsonschema.Schema{}, faults: map[string]error{}}
	events, _ := nc.SubscribeSync("$JS.EVENT.>")
	_, _ = nc.SubscribeSync("backup")
	_, _ = nc.SubscribeSync("push")
	for _, line := range requests {
		if strings.HasPrefix(line, "STREAM.MSG.GET.S {\"seq\":1}") {
			fill(nc, c)
		}
		if strings.HasPrefix(line, "CONSUMER.NAMES") {
			work(nc)
		}
		subject, body, _ := strings.Cut(line, " ")
		answer, err := nc.Request("$JS.API."+subject, []byte(body), 5*time.Second)
		if err != nil {
			c.faults[subject] = err
			continue
		}
		c.check(answer.Data)
		endRestore(nc, c, answer.Data)
	}
	if err := beyond(os.Args[1], nc, c); err != nil {
		c.faults["beyond"] = err
	}
	for {
		event, err := events.NextMsg(time.Second)
		if err != nil {
			break
		}
		c.check(event.Data)
	}
	os.Exit(c.report())
}

// fill publishes a few messages, and leaves a batch unfinished.
func fill(nc *nats.Conn, c *checker) {
	for _, subject := range []string{"s.a", "s.b", "s.a", "s.c", "s.d", "s.e"} {
		if ack, err := nc.Request(subject, []byte("text"), 5*time.Second); err == nil {
			c.as("io.nats.jetstream.api.v1.pub_ack_response", ack.Data)
		}
	}
	for _, sequence := range []string{"1", "3"} {
		part := nats.NewMsg("b")
		part.Header = nats.Header{"Nats-Batch-Id": {"one"}, "Nats-Batch-Sequence": {sequence}}
		_, _ = nc.RequestMsg(part, 5*time.Second)
	}
}

// work takes messages from the consumers and ends each in another way.
func work(nc *nats.Conn) {
	inbox := nc.NewRespInbox()
	sub, _ := nc.SubscribeSync(inbox)
	tooOften, _ := nc.SubscribeSync("$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.S.P")
	_ = nc.PublishRequest("$JS.API.CONSUMER.MSG.NEXT.S.P", inbox, []byte(`{"batch":4,"no_wait":true}`))
	for _, verb := range []string{"+ACK", "-NAK", "+TERM a reason"} {
		if msg, err := sub.NextMsg(2 * time.Second); err == nil {
			_, _ = nc.Request(msg.Reply, []byte(verb), 2*time.Second)
		}
	}
	_ = nc.PublishRequest("$JS.API.CONSUMER.MSG.NEXT.S.G", inbox, []byte(`{"group":"g","expires":1000000000}`))
	// The fourth message is not acknowledged in time.
	_, _ = tooOften.NextMsg(10 * time.Second)
	_, _ = nc.Request("$JS.API.CONSUMER.MSG.NEXT.S.P", []byte(`{"no_wait":true}`), time.Second)
}

// endRestore sends nothing to a restore that has just begun, which ends it.
func endRestore(nc *nats.Conn, c *checker, answer []byte) {
	var restore struct {
		Subject string `json:"deliver_subject"`
	}
	if json.Unmarshal(answer, &restore) == nil && strings.HasPrefix(restore.Subject, "$JS.SNAPSHOT.RESTORE.") {
		if end, err := nc.Request(restore.Subject, nil, 5*time.Second); err == nil {
			c.check(end.Data)
		}
	}
}

// check holds a message against the schema of its type.
func (c *checker) check(data []byte) {
	kind, err := api.SchemaTypeForMessage(data)
	if err != nil {
		c.faults["untyped"] = fmt.Errorf("%w: %s", err, data)
		return
	}
	if c.faults[kind] != nil {
		return
	}
	c.faults[kind] = c.validate(kind, data)
}

func (c *checker) validate(kind string, data []byte) error {
	schema := c.schemas[kind]
	if schema == nil {
		text, err := api.Schema(kind)
		if err != nil {
			return err
		}
		if schema, err = jsonschema.CompileString(kind+".json", string(text)); err != nil {
			return err
		}
		c.schemas[kind] = schema
	}
	var value any
	if err := json.Unmarshal(data, &value); err != nil {
		return err
	}
	if err := schema.Validate(value); err != nil {
		return fmt.Errorf("%w: %s", err, data)
	}
	return nil
}

func isUnfit(kind string) bool {
	for _, name := range unfit {
		if strings.HasSuffix(kind, ".advisory.v1."+name) {
			return true
		}
	}
	return false
}

func (c *checker) report() int {
	c.rest()
	var kinds []string
	for kind := range c.faults {
		kinds = append(kinds, kind)
	}
	sort.Strings(kinds)
	failed := 0
	for _, kind := range kinds {
		name := "schemas/" + strings.TrimPrefix(kind, "io.nats.jetstream.")
		if err := c.faults[kind]; err != nil && !isUnfit(kind) {
			failed = 1
			fmt.Printf("FAIL %s: %s\n", name, strings.ReplaceAll(err.Error(), "\n", " "))
		} else {
			fmt.Printf("ok %s\n", name)
		}
	}
	return failed
}

// nats.js, unmodified: core messaging, streams, consumers and key-value against one server.
//
// Usage: node checks.mjs URL. Prints `ok NAME` or `FAIL NAME: why` per check; exits 1 if one failed.
// RESTART, if set, is a program that restarts the server.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { connect as dial, createInbox, headers as newHeaders, nanos } from "@nats-io/transport-node";
import { AckPolicy, DeliverPolicy, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import { Objm } from "@nats-io/obj";
import { extensions } from "./extensions.mjs";

const url = process.argv[2];
const text = (msg) => new TextDecoder().decode(msg.data);
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

const open = (more = {}) => dial({ servers: url, reconnectTimeWait: 100, maxReconnectAttempts: 100, ...more });

async function stream({ jsm }, name, more = {}) {
  await jsm.streams.delete(name).catch(() => {});
  return await jsm.streams.add({ name, subjects: [`${name}.>`], ...more });
}

async function filled(env, name, count) {
  await stream(env, name);
  for (let i = 0; i < count; i++) await env.js.publish(`${name}.a`, String(i));
}

async function consumer({ js, jsm }, name, config = {}) {
  await jsm.consumers.add(name, { durable_name: "c", ack_policy: AckPolicy.Explicit, ...config });
  return await js.consumers.get(name, "c");
}

async function refused(promise, code) {
  await assert.rejects(promise, (error) => {
    const got = error.code ?? error.api_error?.err_code ?? error.apiError?.()?.err_code;
    assert.equal(got, code, String(error));
    return true;
  });
}

const checks = {
  async connect({ nc }) {
    assert.ok((await nc.rtt()) >= 0);
    assert.equal(nc.info.headers, true);
  },

  async publish_subscribe({ nc }) {
    const sub = nc.subscribe("js.core.*", { max: 2 });
    nc.publish("js.core.a", "one");
    nc.publish("js.core.b", "two", { reply: "there" });
    const got = [];
    for await (const msg of sub) got.push([text(msg), msg.reply]);
    assert.deepEqual(got, [["one", ""], ["two", "there"]]);
  },

  async publish_tracing({ nc }) {
    const sub = nc.subscribe("js.traced", { callback: () => {} });
    const way = nc.subscribe("js.way", { max: 1 });
    nc.publish("js.traced", "x", { traceDestination: "js.way", traceOnly: true });
    for await (const msg of way) {
      const report = msg.json();
      assert.deepEqual(report.events.map((event) => event.type), ["in", "eg"]);
      assert.equal(report.events[1].sub, "js.traced");
    }
    assert.equal(sub.getProcessed(), 0);
    sub.unsubscribe();
  },

  async request_reply({ nc }) {
    const sub = nc.subscribe("js.service", { callback: (_, msg) => msg.respond(text(msg).toUpperCase()) });
    assert.equal(text(await nc.request("js.service", "hello", { timeout: 2000 })), "HELLO");
    sub.unsubscribe();
  },

  async no_responders({ nc }) {
    await assert.rejects(nc.request("js.nobody", "", { timeout: 2000 }), /responders/i);
  },

  async queue_group({ nc }) {
    let count = 0;
    const subs = [1, 2, 3].map(() => nc.subscribe("js.queue", { queue: "workers", callback: () => count++ }));
    for (let i = 0; i < 30; i++) nc.publish("js.queue");
    await nc.flush();
    assert.equal(count, 30);
    subs.forEach((sub) => sub.unsubscribe());
  },

  async headers({ nc }) {
    const sub = nc.subscribe("js.headers", { max: 1 });
    const h = newHeaders();
    h.append("Key", "one");
    h.append("Key", "two");
    nc.publish("js.headers", "x", { headers: h });
    for await (const msg of sub) assert.deepEqual(msg.headers.values("Key"), ["one", "two"]);
  },

  async request_many({ nc }) {
    const subs = [1, 2].map(() => nc.subscribe("js.many", { callback: (_, msg) => msg.respond("x") }));
    const inbox = createInbox();
    const got = nc.subscribe(inbox, { max: 2 });
    nc.publish("js.many", "", { reply: inbox });
    let count = 0;
    for await (const _ of got) count++;
    assert.equal(count, 2);
    subs.forEach((sub) => sub.unsubscribe());
  },

  async account_info({ jsm }) {
    assert.equal((await jsm.getAccountInfo()).limits.max_storage, -1);
  },

  async stream_create_update_delete(env) {
    const { jsm } = env;
    const created = await stream(env, "jslife", { max_msgs: 10 });
    assert.equal(created.config.max_msgs, 10);
    const updated = await jsm.streams.update("jslife", { max_msgs: 7 });
    assert.equal(updated.config.max_msgs, 7);
    assert.equal(await jsm.streams.find("jslife.x"), "jslife");
    const names = [];
    for await (const info of jsm.streams.list()) names.push(info.config.name);
    assert.ok(names.includes("jslife"));
    assert.ok(await jsm.streams.delete("jslife"));
    await refused(jsm.streams.info("jslife"), 10059);
  },

  async replicas_refused(env) {
    await refused(stream(env, "jsreplicas", { num_replicas: 3 }), 10074);
  },

  async publish_ack(env) {
    await stream(env, "jsack");
    const ack = await env.js.publish("jsack.a", "x");
    assert.deepEqual([ack.stream, ack.seq, ack.duplicate], ["jsack", 1, false]);
    await assert.rejects(env.js.publish("js.nostream", "x"));
  },

  async publish_many(env) {
    await stream(env, "jsmany");
    const acks = await Promise.all(Array.from({ length: 500 }, () => env.js.publish("jsmany.a", "x")));
    assert.deepEqual(acks.map((ack) => ack.seq), Array.from({ length: 500 }, (_, i) => i + 1));
  },

  async publish_dedup(env) {
    await stream(env, "jsdedup");
    await env.js.publish("jsdedup.a", "1", { msgID: "one" });
    const again = await env.js.publish("jsdedup.a", "1", { msgID: "one" });
    assert.deepEqual([again.seq, again.duplicate], [1, true]);
  },

  async publish_expected(env) {
    await filled(env, "jsexpect", 1);
    const { js } = env;
    await refused(js.publish("jsexpect.a", "", { expect: { lastSequence: 7 } }), 10071);
    await refused(js.publish("jsexpect.a", "", { expect: { lastSubjectSequence: 7 } }), 10071);
    await refused(js.publish("jsexpect.a", "", { expect: { streamName: "other" } }), 10060);
    await refused(js.publish("jsexpect.a", "", { expect: { lastMsgID: "other" } }), 10070);
    assert.equal((await js.publish("jsexpect.a", "", { expect: { lastSequence: 1 } })).seq, 2);
  },

  async purge_and_delete_message(env) {
    await filled(env, "jspurge", 5);
    const { jsm } = env;
    assert.ok(await jsm.streams.deleteMessage("jspurge", 3));
    assert.equal((await jsm.streams.purge("jspurge", { keep: 2 })).purged, 2);
    assert.equal(text(await jsm.streams.getMessage("jspurge", { last_by_subj: "jspurge.a" })), "4");
    assert.equal((await jsm.streams.purge("jspurge", { filter: "jspurge.a" })).purged, 2);
    assert.equal((await jsm.streams.info("jspurge")).state.messages, 0);
  },

  async direct_get(env) {
    await stream(env, "jsdirect", { allow_direct: true });
    await env.js.publish("jsdirect.a", "x");
    const msg = await env.jsm.direct.getMessage("jsdirect", { seq: 1 });
    assert.deepEqual([text(msg), msg.subject, msg.seq], ["x", "jsdirect.a", 1]);
    assert.equal(await env.jsm.direct.getMessage("jsdirect", { seq: 9 }), null);
  },

  async pull_fetch(env) {
    await filled(env, "jsfetch", 10);
    const c = await consumer(env, "jsfetch");
    const got = [];
    while (got.length < 10) {
      for await (const msg of await c.fetch({ max_messages: 4, expires: 1000 })) {
        got.push(text(msg));
        assert.ok(await msg.ackAck());
      }
    }
    assert.deepEqual(got, Array.from({ length: 10 }, (_, i) => String(i)));
    const info = await c.info();
    assert.deepEqual([info.num_ack_pending, info.ack_floor.stream_seq], [0, 10]);
    assert.equal(await c.next({ expires: 1000 }), null);
  },

  async pull_consume(env) {
    await stream(env, "jsconsume");
    const c = await consumer(env, "jsconsume");
    const messages = await c.consume({ max_messages: 20 });
    for (let i = 0; i < 100; i++) env.js.publish("jsconsume.a", String(i));
    let next = 0;
    for await (const msg of messages) {
      assert.equal(text(msg), String(next++));
      msg.ack();
      if (next === 100) break;
    }
  },

  async ack_verbs(env) {
    await filled(env, "jsverbs", 1);
    const c = await consumer(env, "jsverbs", { ack_wait: nanos(1000) });
    let msg = await c.next({ expires: 2000 });
    assert.equal(msg.info.deliveryCount, 1);
    msg.nak();
    msg = await c.next({ expires: 2000 });
    assert.equal(msg.info.deliveryCount, 2);
    msg.nak(200);
    msg = await c.next({ expires: 2000 });
    assert.equal(msg.info.deliveryCount, 3);
    await sleep(600);
    msg.working();
    await sleep(600);
    msg.term("enough");
    assert.equal(await c.next({ expires: 1500 }), null);
  },

  async redelivery(env) {
    await filled(env, "jsredeliver", 1);
    const c = await consumer(env, "jsredeliver", { ack_wait: nanos(300) });
    await c.next({ expires: 1000 });
    assert.equal((await c.next({ expires: 2000 })).info.deliveryCount, 2);
  },

  async ordered(env) {
    await filled(env, "jsordered", 50);
    const c = await env.js.consumers.get("jsordered");
    let next = 0;
    for await (const msg of await c.fetch({ max_messages: 50, expires: 2000 })) assert.equal(text(msg), String(next++));
    assert.equal(next, 50);
  },

  async push(env) {
    await filled(env, "jspush", 10);
    await env.jsm.consumers.add("jspush", {
      durable_name: "p", deliver_subject: createInbox(), ack_policy: AckPolicy.Explicit,
      idle_heartbeat: nanos(500), flow_control: true,
    });
    const c = await env.js.consumers.getPushConsumer("jspush", "p");
    const messages = await c.consume();
    let next = 0;
    for await (const msg of messages) {
      assert.equal(text(msg), String(next++));
      msg.ack();
      if (next === 10) break;
    }
  },

  async deliver_policies(env) {
    await filled(env, "jspolicy", 5);
    for (const [config, first] of [
      [{ deliver_policy: DeliverPolicy.Last }, "4"],
      [{ deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: 3 }, "2"],
      [{ deliver_policy: DeliverPolicy.LastPerSubject, filter_subject: "jspolicy.a" }, "4"],
    ]) {
      await env.jsm.consumers.delete("jspolicy", "c").catch(() => {});
      const c = await consumer(env, "jspolicy", config);
      assert.equal(text(await c.next({ expires: 1000 })), first);
    }
  },

  async consumers_listed_and_deleted(env) {
    await stream(env, "jsconsumers");
    await consumer(env, "jsconsumers");
    const names = [];
    for await (const info of env.jsm.consumers.list("jsconsumers")) names.push(info.name);
    assert.deepEqual(names, ["c"]);
    assert.ok(await env.jsm.consumers.delete("jsconsumers", "c"));
    await refused(env.jsm.consumers.info("jsconsumers", "c"), 10014);
  },

  async advisories({ nc, ...env }) {
    const sub = nc.subscribe("$JS.EVENT.ADVISORY.STREAM.CREATED.jsadvisory", { max: 1 });
    await stream(env, "jsadvisory");
    for await (const msg of sub) assert.equal(msg.json().action, "create");
  },

  async kv_basics({ nc, jsm }) {
    await jsm.streams.delete("KV_jskv").catch(() => {});
    const kv = await new Kvm(nc).create("jskv", { history: 5 });
    assert.equal(await kv.create("color", "blue"), 1);
    await assert.rejects(kv.create("color", "red"));
    assert.equal(await kv.update("color", "green", 1), 2);
    await assert.rejects(kv.update("color", "red", 1));
    assert.equal((await kv.get("color")).string(), "green");
    await kv.put("size", "xl");
    const keys = [];
    for await (const key of await kv.keys()) keys.push(key);
    assert.deepEqual(keys.sort(), ["color", "size"]);
    const history = [];
    for await (const entry of await kv.history({ key: "color" })) history.push(entry.string());
    assert.deepEqual(history, ["blue", "green"]);
    await kv.delete("color");
    assert.equal((await kv.get("color")).operation, "DEL");
    await kv.purge("color");
    assert.equal((await kv.status()).values, 2);
  },

  async kv_watch({ nc, jsm }) {
    await jsm.streams.delete("KV_jswatch").catch(() => {});
    const kv = await new Kvm(nc).create("jswatch");
    await kv.put("a", "1");
    const got = [];
    for await (const entry of await kv.watch()) {
      got.push(`${entry.key}=${entry.string()}`);
      if (got.length === 1) await kv.put("b", "2");
      if (got.length === 2) break;
    }
    assert.deepEqual(got, ["a=1", "b=2"]);
  },

  async drain({ nc }) {
    const other = await open();
    let count = 0;
    other.subscribe("js.drain", { callback: () => count++ });
    await other.flush();
    nc.publish("js.drain");
    await nc.flush();
    await other.drain();
    assert.equal(count, 1);
  },

  async reconnect(env) {
    if (!process.env.RESTART) return;
    await filled(env, "jsrestart", 3);
    const other = await open();
    const sub = other.subscribe("js.after", { max: 1 });
    await other.flush();
    const back = (async () => {
      for await (const status of other.status()) if (status.type === "reconnect") return;
    })();
    await promisify(execFile)(process.env.RESTART);
    await back;
    other.publish("js.after", "here");
    for await (const msg of sub) assert.equal(text(msg), "here");
    assert.equal((await (await jetstreamManager(other)).streams.info("jsrestart")).state.messages, 3);
    await other.close();
  },
};

const nc = await open();
const env = { nc, js: jetstream(nc), jsm: await jetstreamManager(nc) };
const kvm = ({ nc }) => new Kvm(nc);
const objm = ({ nc }) => new Objm(nc);
Object.assign(checks, extensions({ stream, filled, consumer, refused, text, sleep, kvm, objm }));
let failed = 0;
for (const [name, run] of Object.entries(checks)) {
  let timer;
  const late = new Promise((_, no) => (timer = setTimeout(() => no(new Error("took too long")), 30_000)));
  try {
    await Promise.race([run(env), late]);
    console.log(`ok js/${name}`);
  } catch (error) {
    failed++;
    console.log(`FAIL js/${name}: ${String(error?.message ?? error).replaceAll("\n", " ")}`);
  }
  clearTimeout(timer);
}
await nc.close();
process.exit(failed ? 1 : 0);

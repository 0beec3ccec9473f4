// What newer servers add to streams and consumers, as far as nats.js has it: priority groups, batches,
// counters, lifetimes, schedules, direct get of many messages. `checks.mjs` lends its helpers.

import assert from "node:assert/strict";
import internal from "@nats-io/jetstream/internal";
import { headers as newHeaders, nanos } from "@nats-io/transport-node";

export const extensions = ({ stream, filled, consumer, refused, text, sleep, kvm, objm }) => {
  const grouped = async (env, name, count, priority_policy) => {
    await filled(env, name, count);
    return await consumer(env, name, { priority_policy, priority_groups: ["g"], priority_timeout: nanos(30_000) });
  };
  const fetched = async (consumer, options) => {
    const got = [];
    for await (const msg of await consumer.fetch({ max_messages: 1, expires: 1000, ...options })) got.push(text(msg));
    return got;
  };
  const collected = async (messages) => {
    const got = [];
    for await (const msg of await messages) got.push(text(msg));
    return got;
  };
  const until = async (condition) => {
    for (let i = 0; i < 400; i++) {
      if (await condition()) return;
      await sleep(25);
    }
    assert.fail("did not happen in time");
  };

  return {
    async priority_overflow(env) {
      const c = await grouped(env, "jsoverflow", 3, "overflow");
      assert.deepEqual(await fetched(c, { group: "g", min_pending: 10 }), []);
      assert.deepEqual(await fetched(c, { group: "g", min_pending: 2 }), ["0"]);
      assert.deepEqual(await fetched(c, { group: "g", min_ack_pending: 2 }), []);
      assert.deepEqual(await fetched(c, { group: "g", min_pending: 1 }), ["1"]);
      assert.deepEqual(await fetched(c, { group: "g", min_ack_pending: 2 }), ["2"]);
    },

    async priority_pinned(env) {
      const c = await grouped(env, "jspinned", 2, "pinned_client");
      const first = await c.consume({ group: "g", max_messages: 1 });
      let pin = "";
      for await (const msg of first) {
        pin = msg.headers.get("Nats-Pin-Id");
        msg.ack();
        break;
      }
      assert.notEqual(pin, "");
      const [group] = (await c.info()).priority_groups;
      assert.deepEqual([group.group, group.pinned_client_id], ["g", pin]);
      await first.close();
      await env.jsm.consumers.unpin("jspinned", "c", "g");
      assert.equal((await c.info()).priority_groups[0].pinned_client_id ?? "", "");
    },

    async priority_prioritized(env) {
      const c = await grouped(env, "jsprioritized", 0, "prioritized");
      const low = fetched(c, { group: "g", priority: 7, expires: 3000 });
      await env.nc.flush();
      const high = fetched(await env.js.consumers.get("jsprioritized", "c"), { group: "g", priority: 1, expires: 3000 });
      await until(async () => (await c.info()).num_waiting === 2);
      await env.js.publish("jsprioritized.a", "first");
      await env.js.publish("jsprioritized.a", "second");
      assert.deepEqual([await high, await low], [["first"], ["second"]]);
    },

    async atomic_batch(env) {
      await stream(env, "jsatomic", { allow_atomic: true });
      const batch = await env.js.startBatch("jsatomic.a", "0");
      for (let i = 1; i < 4; i++) batch.add("jsatomic.a", String(i));
      assert.equal((await env.jsm.streams.info("jsatomic")).state.messages, 0);
      const ack = await batch.commit("jsatomic.b", "end");
      assert.deepEqual([ack.count, ack.seq, ack.batch], [5, 5, batch.id]);
      assert.equal((await env.jsm.streams.info("jsatomic")).state.messages, 5);
    },

    async atomic_batch_refused(env) {
      await stream(env, "jsatomicno", { allow_atomic: true });
      const batch = await env.js.startBatch("jsatomicno.a", "0");
      const headers = newHeaders();
      headers.set("Nats-Expected-Last-Subject-Sequence", "7");
      batch.add("jsatomicno.b", "1", { headers });
      await assert.rejects(batch.commit("jsatomicno.c", "2"));
      assert.equal((await env.jsm.streams.info("jsatomicno")).state.messages, 0);
    },

    async fast_batch(env) {
      await stream(env, "jsfast", { allow_batched: true });
      const fast = await internal.startFastIngest(env.nc, "jsfast.a", "0", { gapMode: "fail" });
      for (let i = 1; i < 499; i++) await fast.add("jsfast.a", String(i));
      const end = await fast.last("jsfast.a", "499");
      assert.deepEqual([end.count, end.seq, end.batch], [500, 500, fast.batch]);
      assert.equal((await env.jsm.streams.info("jsfast")).state.messages, 500);
    },

    async counter(env) {
      await stream(env, "jscounter", { allow_msg_counter: true, allow_direct: true });
      const add = async (amount) => {
        const headers = newHeaders();
        headers.set("Nats-Incr", amount);
        return await env.js.publish("jscounter.a", "", { headers });
      };
      await add("5");
      assert.equal((await add("-7")).val, "-2");
      assert.equal((await add("99999999999999999999999999")).val, "99999999999999999999999997");
      const last = await env.jsm.direct.getMessage("jscounter", { last_by_subj: "jscounter.a" });
      assert.deepEqual(last.json(), JSON.parse('{"val":"99999999999999999999999997"}'));
      await refused(env.js.publish("jscounter.a", "x"), 10169);
    },

    async message_ttl(env) {
      await stream(env, "jsttl", { allow_msg_ttl: true });
      await env.js.publish("jsttl.a", "short", { ttl: "1s" });
      await env.js.publish("jsttl.a", "long", { ttl: "1h" });
      await until(async () => (await env.jsm.streams.info("jsttl")).state.messages === 1);
      assert.equal((await env.jsm.streams.info("jsttl")).state.first_seq, 2);
      await refused(env.js.publish("jsttl.a", "wrong", { ttl: "soon" }), 10165);
    },

    async scheduled(env) {
      await stream(env, "jssched", { allow_msg_schedules: true, allow_rollup_hdrs: true });
      const at = new Date(Date.now() + 1000);
      await env.js.publish("jssched.once", "due", { schedule: { specification: at, target: "jssched.target.once" } });
      const every = { specification: { every: "1s" }, target: "jssched.target.every" };
      await env.js.publish("jssched.every", "due", { schedule: every });
      const subjects = async () => (await env.jsm.streams.info("jssched", { subjects_filter: ">" })).state.subjects;
      await until(async () => "jssched.target.once" in (await subjects()) && "jssched.target.every" in (await subjects()));
      const left = await subjects();
      assert.deepEqual([left["jssched.once"], left["jssched.every"]], [undefined, 1]);
      const made = await env.jsm.streams.getMessage("jssched", { last_by_subj: "jssched.target.once" });
      assert.deepEqual([text(made), made.header.get("Nats-Scheduler")], ["due", "jssched.once"]);
    },

    async direct_get_batch(env) {
      await stream(env, "jsdirect", { allow_direct: true });
      for (let i = 0; i < 6; i++) await env.js.publish(`jsdirect.${i % 3}`, String(i));
      const direct = env.jsm.direct;
      const batch = direct.getBatch("jsdirect", { seq: 2, batch: 2, next_by_subj: "jsdirect.1" });
      assert.deepEqual(await collected(batch), ["1", "4"]);
      const last = direct.getLastMessagesFor("jsdirect", { multi_last: ["jsdirect.0", "jsdirect.2"] });
      assert.deepEqual(await collected(last), ["3", "5"]);
      const upTo = direct.getLastMessagesFor("jsdirect", { multi_last: ["jsdirect.*"], up_to_seq: 4 });
      assert.deepEqual(await collected(upTo), ["1", "2", "3"]);
    },

    async kv_ttl(env) {
      const kv = await kvm(env).create("jskvttl", { markerTTL: 60_000 });
      await kv.create("short", "x", "1s");
      await kv.put("long", "x");
      await until(async () => (await kv.get("short"))?.operation !== "PUT");
      assert.equal(text({ data: (await kv.get("long")).value }), "x");
    },

    async object_store(env) {
      await env.jsm.streams.delete("OBJ_jsobj").catch(() => {});
      const store = await objm(env).create("jsobj");
      const big = Uint8Array.from({ length: 300_000 }, (_, i) => i * 7);
      const info = await store.putBlob({ name: "big", options: { max_chunk_size: 100_000 } }, big);
      assert.deepEqual([info.size, info.chunks, info.revision], [300_000, 3, 4]);
      assert.deepEqual(Buffer.from(await store.getBlob("big")), Buffer.from(big));
      await store.putBlob({ name: "big" }, big.slice(0, 9));
      await store.link("other name", await store.info("big"));
      assert.deepEqual(Buffer.from(await store.getBlob("other name")), Buffer.from(big.slice(0, 9)));
      assert.deepEqual((await store.list()).map((entry) => entry.name).sort(), ["big", "other name"]);
      await store.delete("big");
      assert.equal(await store.get("big"), null);
      // What stood there before is purged, the link and the record of the deletion stay.
      assert.equal((await store.status()).streamInfo.state.messages, 2);
      assert.equal((await store.seal()).sealed, true);
      await assert.rejects(store.putBlob({ name: "late" }, big.slice(0, 9)));
    },
  };
};

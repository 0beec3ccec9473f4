// memphis-dev, unmodified: stations, producers, consumers and dead letters, beside a NATS client.
//
// Usage: node checks.mjs MEMPHIS_PORT NATS_URL MANAGEMENT_PORT PAGES_PORT. Prints `ok NAME` or `FAIL NAME: why` per check; exits 1 if one
// failed. RESTART, if set, is a program that kills the server and starts it again.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import memphisModule from "memphis-dev";
import { connect as dial } from "nats";
import { connect as dialPage } from "nats.ws";
import { WebSocket } from "ws";

const [port, url, management, pages] = process.argv.slice(2);
const { createMemphisInstance, Memphis, retentionTypes } = memphisModule;
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const text = (message) => Buffer.from(message.getData()).toString();

async function open(more = { password: "memphis" }) {
  const memphis = createMemphisInstance ? createMemphisInstance() : new Memphis();
  await memphis.connect({
    host: "127.0.0.1", port: Number(port), username: "root",
    reconnectIntervalMs: 200, suppressLogs: true, ...more,
  });
  return memphis;
}

async function api(method, route, fields, jwt) {
  const headers = { "Content-Type": "application/json", ...(jwt && { Authorization: `Bearer ${jwt}` }) };
  const answer = await fetch(`http://127.0.0.1:${management}/api/${route}`, { method, headers, body: JSON.stringify(fields) });
  const said = await answer.json();
  assert.equal(answer.status, 200, `${route}: ${JSON.stringify(said)}`);
  return said;
}

const login = () => api("POST", "usermgmt/login", { username: "root", password: "memphis" });

async function refused(promise, part = "") {
  await assert.rejects(promise, (error) => {
    assert.ok(String(error?.message ?? error).includes(part), String(error));
    return true;
  });
}

async function until(condition, ms = 5000) {
  const end = Date.now() + ms;
  while (!(await condition())) {
    assert.ok(Date.now() < end, "did not happen in time");
    await sleep(50);
  }
}

const count = async (jsm, stream) => (await jsm.streams.info(stream)).state.messages;
const send = (producer, message, more = {}) => producer.produce({ message: Buffer.from(message), asyncProduce: false, ...more });

async function bodies(consumer, batchSize = 10) {
  const messages = await consumer.fetch({ batchSize });
  for (const message of messages) message.ack();
  return messages.map(text);
}

const checks = {
  async login() {
    await refused(open({ password: "wrong" }));
    await (await open({ password: "memphis", accountId: 1 })).close();
    await refused(open({ password: "memphis", accountId: 2 }));
    await (await open({ connectionToken: "memphis" })).close();
  },

  async management_users({ memphis }) {
    const { jwt } = await login();
    const password = "Passw0rd!";
    for (const [username, user_type] of [["js.app", "application"], ["js.manager", "management"]]) {
      await api("POST", "usermgmt/addUser", { username, password, user_type }, jwt);
    }
    await (await open({ username: "js.app", password })).close();
    await refused(open({ username: "js.manager", password }), "Authorization");
    assert.ok(memphis.isConnected());
  },

  async watched_page({ memphis }) {
    await memphis.station({ name: "js.watched" });
    const said = await login();
    assert.equal(said.ws_port, Number(pages));
    globalThis.WebSocket ??= WebSocket;
    const servers = `ws://127.0.0.1:${pages}`;
    const user = `$memphis_user$${said.account_id}`;
    const page = await dialPage({ servers, user, pass: said.internal_ws_pass });
    const topic = "station_overview_data.js#watched.-1";
    const { name } = (await page.request(`$memphis_ws_subs.${topic}`, "SUB")).json();
    const sub = page.subscribe(`$memphis_ws_pubs.${topic}.${name}`, { max: 1, timeout: 30_000 });
    for await (const message of sub) assert.equal(message.json().name, "js.watched");
    await page.close();
    await refused(dialPage({ servers, user, pass: "memphis" }), "Authorization");
    // A page from elsewhere may not even try, as long as everybody knows the password.
    const elsewhere = new WebSocket(servers, { origin: "http://elsewhere" });
    await refused(new Promise((done, failed) => elsewhere.on("open", done).on("error", failed)), "403");
  },

  async station_twice({ memphis, jsm }) {
    const station = { name: "Js.Twice", partitionsNumber: 2, retentionValue: 100, idempotencyWindowMs: 1000 };
    await memphis.station(station);
    await memphis.station({ ...station, retentionValue: 7200 });
    const { config } = await jsm.streams.info("js#twice$2");
    assert.equal(config.max_age, 100e9);
    assert.deepEqual(config.subjects, ["js#twice$2.>"]);
    await refused(memphis.station({ name: "a b" }), "are allowed in Station");
  },

  async produced_and_consumed({ memphis, jsm }) {
    await memphis.station({ name: "js.flow", partitionsNumber: 2 });
    const producer = await memphis.producer({ stationName: "js.flow", producerName: "P" });
    const headers = memphis.headers();
    headers.add("k", "v");
    for (let i = 0; i < 4; i++) await send(producer, String(i), { headers });
    assert.equal(await count(jsm, "js#flow$1"), 2);
    const consumer = await memphis.consumer({ stationName: "js.flow", consumerName: "c", consumerGroup: "g.x" });
    const got = [];
    while (got.length < 4) {
      for (const message of await consumer.fetch({ batchSize: 10 })) {
        assert.equal(message.getHeaders().k, "v");
        got.push(text(message));
        message.ack();
      }
    }
    assert.deepEqual(got.sort(), ["0", "1", "2", "3"]);
  },

  async message_ids({ memphis, jsm }) {
    const producer = await memphis.producer({ stationName: "js-ids", producerName: "p" });
    for (let i = 0; i < 2; i++) await send(producer, "x", { msgId: "m1" });
    assert.equal(await count(jsm, "js-ids$1"), 1);
  },

  async keys({ memphis, jsm }) {
    // This SDK takes the key's remainder, from 0, for the partition's number, from 1.
    await memphis.station({ name: "js-keys", partitionsNumber: 3 });
    const station = { stationName: "js-keys" };
    const producer = await memphis.producer({ ...station, producerName: "p" });
    for (const key of ["a", "user-1", "a"]) await send(producer, key, { producerPartitionKey: key });
    const counts = await Promise.all([1, 2, 3].map((p) => count(jsm, `js-keys$${p}`)));
    assert.deepEqual(counts, [0, 1, 2]);
    const consumer = await memphis.consumer({ ...station, consumerName: "c" });
    const got = await consumer.fetch({ batchSize: 10, consumerPartitionKey: "a" });
    assert.deepEqual(got.map(text), ["a", "a"]);
  },

  async not_awaited({ memphis, jsm }) {
    const producer = await memphis.producer({ stationName: "js-async", producerName: "p" });
    for (let i = 0; i < 500; i++) await producer.produce({ message: Buffer.from("x") });
    await until(async () => (await count(jsm, "js-async$1")) === 500);
  },

  async group_shares({ memphis }) {
    const station = { stationName: "js-share" };
    const producer = await memphis.producer({ ...station, producerName: "p" });
    const one = await memphis.consumer({ ...station, consumerName: "one", consumerGroup: "g" });
    const two = await memphis.consumer({ ...station, consumerName: "two", consumerGroup: "g" });
    for (let i = 0; i < 6; i++) await send(producer, String(i));
    const [first, second] = [await bodies(one, 3), await bodies(two, 3)];
    assert.deepEqual([...first, ...second].sort(), ["0", "1", "2", "3", "4", "5"]);
  },

  async nack_and_delay({ memphis }) {
    const station = { stationName: "js-nack" };
    const producer = await memphis.producer({ ...station, producerName: "p" });
    const consumer = await memphis.consumer({ ...station, consumerName: "c", maxMsgDeliveries: 5 });
    await send(producer, "x");
    (await consumer.fetch({ batchSize: 1 }))[0].nack();
    (await consumer.fetch({ batchSize: 1 }))[0].delay(500);
    let [message] = await consumer.fetch({ batchSize: 1 });
    if (!message) [message] = await consumer.fetch({ batchSize: 1 });
    assert.equal(text(message), "x");
    message.ack();
  },

  async dead_letter({ memphis }) {
    await memphis.station({ name: "js-dead", dlsStation: "js-dead-dls" });
    const producer = await memphis.producer({ stationName: "js-dead", producerName: "p" });
    const consumer = await memphis.consumer({ stationName: "js-dead", consumerName: "c" });
    await send(producer, "bad");
    const [message] = await consumer.fetch({ batchSize: 1 });
    message.deadLetter("because");
    const dead = await memphis.consumer({ stationName: "js-dead-dls", consumerName: "d" });
    let got = [];
    await until(async () => (got = await bodies(dead, 10)).length > 0);
    assert.deepEqual(got, ["bad"]);
    assert.deepEqual(await bodies(consumer), []);
  },

  async schema_pushed_to_a_running_producer({ memphis }) {
    const file = join(tmpdir(), `js-order-${process.pid}.json`);
    writeFileSync(file, '{"type":"object","required":["id"],"properties":{"id":{"type":"string"}}}');
    await memphis.station({ name: "js-schemas" });
    const producer = await memphis.producer({ stationName: "js-schemas", producerName: "p" });
    await send(producer, '{"n":1}');
    await memphis.createSchema({ schemaName: "js-order", schemaType: "json", schemaFilePath: file });
    await memphis.enforceSchema({ name: "js-order", stationName: "js-schemas" });
    await sleep(300);
    await refused(send(producer, '{"n":1}'), "Schema validation has failed");
    await send(producer, '{"id":"1"}');
    await memphis.detachSchema({ stationName: "js-schemas" });
    await sleep(300);
    await send(producer, '{"n":1}');
  },

  async schema_versions({ memphis }) {
    const file = join(tmpdir(), `js-versions-${process.pid}.json`);
    const write = (key) => writeFileSync(file, `{"type":"object","required":["${key}"]}`);
    const create = () => memphis.createSchema({ schemaName: "js-versions", schemaType: "json", schemaFilePath: file });
    write("a");
    await create();
    await create();
    await memphis.station({ name: "js-versions", schemaName: "js-versions" });
    const producer = await memphis.producer({ stationName: "js-versions", producerName: "p" });
    await send(producer, '{"a":1}');
    write("b");
    await create();
    // Another version counts for nobody until it is activated and the station follows it.
    await refused(send(producer, '{"b":1}'), "Schema validation has failed");
    const { jwt } = await login();
    const shown = await api("PUT", "schemas/rollBackVersion", { schema_name: "js-versions", version_number: 2 }, jwt);
    assert.deepEqual(shown.versions.map((version) => version.active), shown.versions.map((v) => v.version_number === 2));
    await api("POST", "stations/useSchema", { station_names: ["js-versions"], schema_name: "js-versions" }, jwt);
    await until(() => send(producer, '{"b":1}').then(() => true, () => false));
    await refused(send(producer, '{"a":1}'), "Schema validation has failed");
    const late = await memphis.producer({ stationName: "js-versions", producerName: "late" });
    await send(late, '{"b":1}');
  },

  async schemas_for_nats_clients({ memphis, js, jsm }) {
    const file = join(tmpdir(), `js-query-${process.pid}.graphql`);
    writeFileSync(file, "type Query { id: String }");
    await memphis.createSchema({ schemaName: "js-query", schemaType: "graphql", schemaFilePath: file });
    await memphis.station({ name: "js-query", schemaName: "js-query" });
    const producer = await memphis.producer({ stationName: "js-query", producerName: "p" });
    await send(producer, "{ id }");
    await refused(send(producer, "{ nope }"), "Schema validation has failed");
    // This client writes errors in lower case.
    await refused(js.publish("js-query$1.final", "{ nope }"), "schema validation has failed: ");
    assert.equal(await count(jsm, "js-query$1"), 1);
  },

  async destroyed_twice({ memphis, jsm }) {
    const station = await memphis.station({ name: "js-gone" });
    const producer = await memphis.producer({ stationName: "js-gone", producerName: "p" });
    const consumer = await memphis.consumer({ stationName: "js-gone", consumerName: "c" });
    for (const thing of [producer, producer, consumer, consumer, station, station]) await thing.destroy();
    await refused(jsm.streams.info("js-gone$1"), "stream not found");
  },

  async nats_beside_memphis({ memphis, nc, js, jsm }) {
    await memphis.station({ name: "js-mix" });
    const consumer = await memphis.consumer({ stationName: "js-mix", consumerName: "c" });
    await js.publish("js-mix$1.final", "from nats");
    assert.deepEqual(await bodies(consumer, 1), ["from nats"]);
    const sub = nc.subscribe("js-mix$1.>", { max: 1 });
    await nc.flush();
    const producer = await memphis.producer({ stationName: "js-mix", producerName: "p" });
    await send(producer, "from memphis");
    for await (const message of sub) assert.equal(message.string(), "from memphis");
    await jsm.streams.add({ name: "JsPlain", subjects: ["jsplain.final"] });
    await send(await memphis.producer({ stationName: "jsplain", producerName: "p" }), "x");
    assert.equal(await count(jsm, "JsPlain"), 1);
  },

  async killed_server({ memphis }) {
    if (!process.env.RESTART) return;
    const station = { stationName: "js-kill" };
    const producer = await memphis.producer({ ...station, producerName: "p" });
    const consumer = await memphis.consumer({ ...station, consumerName: "c", maxAckTimeMs: 1000 });
    await send(producer, "before");
    await promisify(execFile)(process.env.RESTART);
    await until(async () => send(producer, "after").then(() => true, () => false), 20_000);
    assert.deepEqual(await bodies(consumer), ["before", "after"]);
  },
};

const nc = await dial({ servers: url, reconnectTimeWait: 100, maxReconnectAttempts: 100 });
const env = { memphis: await open(), nc, js: nc.jetstream(), jsm: await nc.jetstreamManager() };
let failed = 0;
for (const [name, run] of Object.entries(checks)) {
  let timer;
  const late = new Promise((_, no) => (timer = setTimeout(() => no(new Error("took too long")), 60_000)));
  try {
    await Promise.race([run(env), late]);
    console.log(`ok memphis-js/${name}`);
  } catch (error) {
    failed++;
    console.log(`FAIL memphis-js/${name}: ${String(error?.message ?? error).replaceAll("\n", " ")}`);
  }
  clearTimeout(timer);
}
process.exit(failed ? 1 : 0);

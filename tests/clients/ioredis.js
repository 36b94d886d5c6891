// ioredis.js - drives the daemon through ioredis 5, as a Node program of a user would.
//
// node ioredis.js FOLDER-OF-MODULES SOCKET: prints the name of each check that held; exits 1 with the
// first surprise. "restart please" on standard output asks for a new daemon on the same socket, a line
// on standard input says that it is there.
"use strict";

const assert = require("node:assert/strict");
const { once } = require("node:events");
const readline = require("node:readline");

const Redis = require(require.resolve("ioredis", { paths: [process.argv[2]] }));
const path = process.argv[3];
const input = readline.createInterface({ input: process.stdin });
const clients = [];

function connect(options = {}) {
    const client = new Redis({ path, ...options });
    client.problems = [];
    client.on("error", (error) => client.problems.push(error));
    clients.push(client);
    return client;
}

const checks = {
    async "ready check by INFO"() {
        const client = connect({ enableReadyCheck: true, connectionName: "from-node" });
        await once(client, "ready");
        assert.equal(client.status, "ready");
        assert.match(await client.info(), /loading:0/);
        assert.equal(await client.client("GETNAME"), "from-node");
        assert.deepEqual(client.problems, []);
    },

    async "call: submit, await, run, job"() {
        const client = connect();
        const id = await client.call("SUBMIT", "local", "SELECT ? AS v", "häh");
        assert.match(id, /^[0-9]+$/);
        assert.deepEqual(await client.call("AWAIT", id), [["v"], ["häh"]]);
        assert.deepEqual(await client.call("RUN", "local", "SELECT 1 AS one"), [["one"], ["1"]]);
        const fields = await client.call("JOB", id);
        assert.equal(fields[fields.indexOf("state") + 1], "done");
        const [cursor, jobs] = await client.call("JOBS", "STATE", "done");
        assert.equal(cursor, "0");
        assert.equal(jobs.length, 1);
    },

    async "bytes: callBuffer"() {
        const client = connect();
        const data = Buffer.from([0, 13, 10, 255]);
        const id = await client.call("SUBMIT", "mail", data);
        const [[leased, token, attempt, argument]] = await client.callBuffer("RESERVE", "mail");
        assert.deepEqual([leased.toString(), attempt], [id, 1]);
        assert.ok(argument.equals(data));
        assert.equal(await client.call("ACK", id, token, data), "OK");
        assert.ok((await client.callBuffer("AWAIT", id)).equals(data));
    },

    async "errors are exceptions"() {
        const client = connect();
        await assert.rejects(client.call("RUN", "nosuch", "x"), /^ReplyError: NOTARGET /);
        const dead = await client.call("SUBMIT", "local", "SELEC 1");
        await assert.rejects(client.call("AWAIT", dead), /^ReplyError: FAILED /);
        const good = await client.call("SUBMIT", "local", "SELECT 2 AS two");
        const [first, second] = await client.call("GATHER", dead, good);
        assert.ok(first instanceof Error);
        assert.deepEqual(second, [["two"], ["2"]]);
        assert.deepEqual(await client.call("RACE", good), [good, [["two"], ["2"]]]);
    },

    async "pipeline of 10000"() {
        const client = connect();
        const pipeline = client.pipeline();
        for (let number = 0; number < 10000; number++)
            pipeline.call("SUBMIT", "DELAY", 3600000, "mail", number);
        const replies = await pipeline.exec();
        assert.ok(replies.every(([error]) => error === null));
        assert.equal(new Set(replies.map(([, id]) => id)).size, 10000);
        assert.equal(await client.call("CANCEL", "WHERE", "STATE", "scheduled"), 10000);
    },

    async "auto-pipelining"() {
        const client = connect({ enableAutoPipelining: true });
        await once(client, "ready");
        const texts = Array.from({ length: 1000 }, (_, number) => `text ${number}`);
        const pinged = await Promise.all(texts.map((text) => client.echo(text)));
        assert.deepEqual(pinged, texts);
        const ids = await Promise.all(texts.map((text) =>
            client.call("SUBMIT", "local", "SELECT ? AS v", text)));
        assert.equal(new Set(ids).size, 1000);
        assert.deepEqual(await client.call("GATHER", ids[0], ids[999]),
            [[["v"], ["text 0"]], [["v"], ["text 999"]]]);
    },

    async "multi and exec"() {
        const client = connect();
        const replies = await client.multi()
            .call("SUBMIT", "local", "SELECT 6 * 7 AS n")
            .call("SUBMIT", "BIND", 2, "$1", 0, 0, "local", "SELECT ? AS n", "")
            .exec();
        assert.ok(replies.every(([error]) => error === null));
        assert.deepEqual(await client.call("AWAIT", replies[1][1]), [["n"], ["42"]]);

        await client.multi({ pipeline: false });
        assert.equal(await client.call("SUBMIT", "local", "SELECT 1"), "QUEUED");
        assert.equal(await client.discard(), "OK");

        await assert.rejects(client.multi()
            .call("SUBMIT", "local", "SELECT 1").call("SUBMIT", "nosuch", "x").exec(),
            /^ReplyError: EXECABORT /);
    },

    async "await on a duplicate connection"() {
        const client = connect();
        const waiting = client.duplicate();
        clients.push(waiting);
        const id = await client.call("SUBMIT", "mail", "x");
        const result = waiting.call("AWAIT", id);
        const [[, token]] = await client.call("RESERVE", "mail", "TIMEOUT", 0);
        assert.equal(await client.ping(), "PONG");
        await client.call("ACK", id, token, "sent");
        assert.equal(await result, "sent");
        assert.deepEqual(await client.call("RESERVE", "mail", "TIMEOUT", 0), []);
    },

    async "publish and subscribe"() {
        const client = connect();
        const listener = connect();
        const heard = [];
        listener.on("message", (channel, data) => heard.push([channel, JSON.parse(data)]));
        listener.on("pmessage", (pattern, channel, data) =>
            heard.push([pattern, channel, JSON.parse(data)]));
        assert.equal(await listener.subscribe("target:mail"), 1);
        assert.equal(await listener.psubscribe("queue:letter*"), 2);
        const id = await client.call("SUBMIT", "QUEUE", "letters", "mail", "x");
        const [[, token]] = await client.call("RESERVE", "mail");
        await client.call("ACK", id, token);
        await until(() => heard.length === 6);
        const direct = heard.filter((one) => one.length === 2);
        assert.deepEqual(direct.map(([, event]) => event.event), ["submitted", "started", "done"]);
        assert.ok(heard.filter((one) => one.length === 3)
            .every(([pattern, channel]) => pattern === "queue:letter*" &&
                channel === "queue:letters"));
        assert.ok(heard.every((one) => one.at(-1).job === id));
        assert.deepEqual(await listener.ping(), ["pong", ""]); // as from Redis
        assert.equal(await listener.unsubscribe("target:mail"), 1);
        assert.equal(await listener.punsubscribe("queue:letter*"), 0);
        assert.equal(await listener.call("RUN", "local", "SELECT 1").then((rows) => rows.length), 2);
    },

    async "reconnect over a restart of the daemon"() {
        const client = connect({ retryStrategy: () => 50, maxRetriesPerRequest: null });
        const listener = connect({ retryStrategy: () => 50 });
        const heard = [];
        listener.on("message", (_channel, data) => heard.push(JSON.parse(data).event));
        await listener.subscribe("target:mail");
        const id = await client.call("SUBMIT", "DELAY", 3600000, "mail", "kept");
        await until(() => heard.length === 1);
        const told = once(input, "line");
        console.log("restart please");
        await told;
        await until(() => client.status === "ready" && listener.status === "ready");
        assert.equal(await client.call("PROMOTE", id), 1);
        const [[leased, token]] = await client.call("RESERVE", "mail");
        assert.equal(leased, id);
        await client.call("ACK", id, token);
        // ioredis subscribes again by itself.
        await until(() => heard.includes("done"));
    },
};

async function until(condition) {
    for (let round = 0; !condition(); round++) {
        assert.ok(round < 6000, "not within a minute");
        await new Promise((resolve) => setTimeout(resolve, 10));
    }
}

async function main() {
    for (const [name, check] of Object.entries(checks)) {
        try {
            await check();
        } catch (error) {
            console.error(`${name}: ${error.stack}`);
            process.exit(1);
        }
        console.log(name);
        for (const client of clients.splice(0))
            client.disconnect();
    }
    process.exit(0); // with standard input still open
}

main();

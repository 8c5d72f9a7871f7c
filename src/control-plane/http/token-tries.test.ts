import { fastify } from "fastify";
import { expect, test } from "vitest";
import { operatedControlPlane } from "../../../test/fakes/operated-control-plane.ts";
import { systemClock } from "../../lib/clock.ts";
import { agentApi } from "../../protocol/agent-api.ts";
import { NewTokenItem, operatorApi } from "../../protocol/operator-api.ts";
import { TokenTries } from "../auth/token-tries.ts";
import { boundTokenTries } from "./token-tries.ts";

const burst = 50;

async function stage() {
  let aheadMs = 0;
  const clock = { ...systemClock, monotonic: () => 1_000 + aheadMs };
  const plane = await operatedControlPlane({ clock });
  const { http } = plane;
  const admin = { token: plane.token };
  await http.call("POST", operatorApi.classes, { ...admin, json: { resource_class: "a/b" } });
  const made = async () => {
    const json = { resource_class: "a/b", nickname: "n" };
    return NewTokenItem.parse((await http.call("POST", operatorApi.tokens, { ...admin, json })).json).token;
  };
  return {
    plane,
    classToken: made,
    wait: (ms: number) => void (aheadMs += ms),
    ask: async (token: string) => await http.call("GET", agentApi.class, { token }),
    list: async (token: string) => await http.call("GET", operatorApi.agents, { token }),
    [Symbol.asyncDispose]: async () => await plane[Symbol.asyncDispose](),
  };
}

test("an address that tries wrong tokens is refused after a while, and may try again later", async () => {
  await using here = await stage();
  const statuses: number[] = [];
  for (let index = 0; index < burst; index++) statuses.push((await here.ask(`wrong-${index}`)).status);

  const [refused, user] = [await here.ask("wrong"), await here.list("wrong")];
  here.wait(1_000);
  const later = await here.ask("wrong");

  expect(new Set(statuses)).toEqual(new Set([401]));
  for (const answer of [refused, user])
    expect(answer).toMatchObject({
      status: 429,
      headers: { "retry-after": "1" },
      json: { code: "too-many-tries", message: expect.stringContaining("127.0.0.1: try again in 1 s") },
    });
  expect(later.status).toBe(401);
});

test("meanwhile tokens that were right before pass, and so do those of tasks; a new one has to wait", async () => {
  await using here = await stage();
  const [known, fresh] = [await here.classToken(), await here.classToken()];
  await here.ask(known);
  for (let index = 0; index <= burst; index++) await here.ask(`wrong-${index}`);

  const answers = [await here.ask(known), await here.list(here.plane.token)];
  const ofTask = [
    await here.plane.http.call("POST", agentApi.heartbeat, { token: "wrong", json: {} }),
    await here.plane.http.call("POST", agentApi.fail, { token: "wrong", json: {} }),
  ];
  const early = await here.ask(fresh);
  here.wait(1_000);

  expect(answers.map(({ status }) => status)).toEqual([200, 200]);
  expect([...ofTask, early].map(({ status }) => status)).toEqual([401, 401, 429]);
  expect((await here.ask(fresh)).status).toBe(200);
});

test("a token that has been taken away is not right any more", async () => {
  await using here = await stage();
  const token = await here.classToken();
  await here.ask(token);
  const { http, token: admin } = here.plane;
  const listed = await http.call("GET", `${operatorApi.tokens}?resource-class=a/b`, { token: admin });
  const [item] = (listed.json as { items: { id: string }[] }).items;
  await http.call("DELETE", operatorApi.tokenById(item?.id ?? ""), { token: admin });

  const first = await here.ask(token);
  for (let index = 0; index <= burst; index++) await here.ask(`wrong-${index}`);

  expect([first.status, (await here.ask(token)).status]).toEqual([401, 429]);
});

test("one who goes before the answer is counted, too, and gets the answer that was due", async () => {
  const server = fastify();
  boundTokenTries(server, { clock: systemClock });
  server.get("/", async (request, reply) => {
    Object.defineProperty(request.raw, "socket", { value: null });
    return await reply.code(401).send("no");
  });
  const ask = async () => await server.inject({ url: "/", headers: { "circle-token": "wrong" } });

  const statuses: number[] = [];
  for (let index = 0; index <= burst; index++) statuses.push((await ask()).statusCode);

  expect(new Set(statuses.slice(0, burst))).toEqual(new Set([401]));
  expect((await ask()).json()).toMatchObject({ message: expect.stringContaining("too many wrong tokens") });
  await server.close();
});

test("what is remembered of addresses is bounded: the one that was heard of longest ago is forgotten", () => {
  const tries = new TokenTries({ monotonic: () => 0 });
  for (let index = 0; index < burst; index++) tries.wasWrong("192.0.2.1", "wrong");
  expect(() => tries.expectFew("192.0.2.1", "any")).toThrow("too many wrong tokens");

  for (let index = 0; index < 10_000; index++) tries.wasWrong(`2001:db8::${index.toString(16)}`, "wrong");

  expect(() => tries.expectFew("192.0.2.1", "any")).not.toThrow();
});

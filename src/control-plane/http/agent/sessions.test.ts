import { expect, test, vi } from "vitest";
import { Held, started } from "../../../../test/fakes/fake-agent.ts";
import {
  configOf,
  type TemporaryControlPlane,
  temporaryControlPlane,
} from "../../../../test/fakes/temporary-control-plane.ts";
import { AdoptResponse, agentApi } from "../../../protocol/agent-api.ts";

/** A question takes seconds. */
vi.setConfig({ testTimeout: 30_000 });

const name = "agent";

async function open(plane: TemporaryControlPlane, session: string) {
  const json = { name, session, hostname: `host-of-${session}` };
  return await plane.agent.call("POST", agentApi.session, { token: plane.token, json });
}

async function adopt(plane: TemporaryControlPlane, held: Held, session: string) {
  const json = { name, session, task_id: held.task.id, attempt: held.task.attempt };
  return await plane.agent.call("POST", agentApi.adopt, { token: plane.token, json });
}

async function claimed(plane: TemporaryControlPlane, session: string): Promise<Held> {
  await plane.start(configOf(["build"]));
  await open(plane, session);
  const held = await plane.agent.claim(plane.token, { session });
  if (!held) throw new Error("nothing was handed out");
  return held;
}

test("a process that is silent loses its name to the next one, which adopts its task", async () => {
  await using plane = await temporaryControlPlane();
  const held = await claimed(plane, "first");
  await held.send(
    [
      started(0),
      [{ type: "output", step: 0, stream: "stdout", offset: 0, length: 2, encoding: "identity" }, Buffer.from("hi")],
    ],
    "launch",
  );
  await held.send([started(100)]);

  const opened = await open(plane, "second");
  const adopted = await adopt(plane, held, "second");

  expect(opened.status).toBe(200);
  expect(AdoptResponse.parse(adopted.json)).toMatchObject({
    task: { id: held.task.id, attempt: 1 },
    begun: true,
    acked: { launch: 2, task: 1 },
    open_steps: [{ step: 0, bytes: 2 }],
  });
});

test("what the earlier process of an adopted task sends is refused everywhere, and the later one goes on", async () => {
  await using plane = await temporaryControlPlane();
  const held = await claimed(plane, "first");
  await open(plane, "second");
  const { task_token } = AdoptResponse.parse((await adopt(plane, held, "second")).json);

  const answers = await Promise.all([
    held.send([started(100)]),
    held.call("POST", agentApi.heartbeat, { json: {} }),
    held.call("PUT", `${agentApi.artifacts}?path=a`, { body: "x" }),
    held.call("POST", agentApi.unclaim, { json: { task_id: held.task.id, task_token: held.token } }),
  ]);
  const goesOn = await plane.agent.call("POST", agentApi.heartbeat, { token: task_token, json: {} });

  expect(answers.map(({ status, json }) => [status, (json as { code: string }).code])).toEqual(
    answers.map(() => [409, "adopted"]),
  );
  expect(goesOn.status).toBe(200);
});

test("a process that holds a claim open keeps its name, because it calls again when it is asked to", async () => {
  await using plane = await temporaryControlPlane();
  await open(plane, "first");
  const calling = new AbortController();
  const live = async () => {
    while (!calling.signal.aborted) await plane.agent.claim(plane.token, { session: "first", waitMs: 20_000 });
  };
  const living = live();

  const refused = await open(plane, "second");

  expect(refused).toMatchObject({ status: 409, json: { code: "name-taken" } });
  expect(JSON.stringify(refused.json)).toContain("host-of-first");
  calling.abort();
  await open(plane, "third").catch(() => undefined);
  await living.catch(() => undefined);
});

test("a process whose places are all taken keeps its name by its heartbeats", async () => {
  await using plane = await temporaryControlPlane();
  const held = await claimed(plane, "first");
  const calling = new AbortController();
  const live = async () => {
    while (!calling.signal.aborted) await held.call("POST", agentApi.heartbeat, { json: { wait_ms: 20_000 } });
  };
  const living = live();

  const refused = await open(plane, "second");

  expect(refused).toMatchObject({ status: 409, json: { code: "name-taken" } });
  calling.abort();
  await open(plane, "third");
  await living;
});

test("a call that was held for a process that died is no sign of life", async () => {
  await using plane = await temporaryControlPlane();
  const held = await claimed(plane, "first");
  const dying = new AbortController();
  const heartbeat = held
    .call("POST", agentApi.heartbeat, { json: { wait_ms: 20_000 }, signal: dying.signal })
    .catch(() => undefined);
  const opening = open(plane, "second");
  dying.abort();

  expect((await opening).status).toBe(200);
  await heartbeat;
});

test("a process that has lost its name gets no task any more", async () => {
  await using plane = await temporaryControlPlane();
  await open(plane, "first");
  await open(plane, "second");
  await plane.start(configOf(["build"]));

  const answer = await plane.agent.call("POST", agentApi.claim, {
    token: plane.token,
    json: { name, session: "first" },
  });

  expect(answer).toMatchObject({ status: 409, json: { code: "name-taken" } });
  expect(await plane.agent.claim(plane.token, { session: "second" })).toBeDefined();
});

test("a name that was given back is free at once", async () => {
  await using plane = await temporaryControlPlane();
  await open(plane, "first");
  await plane.agent.call("POST", agentApi.closeSession, { token: plane.token, json: { name, session: "first" } });

  expect((await open(plane, "second")).status).toBe(200);
});

test("an attempt that is over is not adopted, nor one of another agent", async () => {
  await using plane = await temporaryControlPlane();
  const held = await claimed(plane, "first");
  await plane.agent.call("POST", agentApi.session, { token: plane.token, json: { name: "other", session: "x" } });
  const json = { name: "other", session: "x", task_id: held.task.id, attempt: 1 };

  const foreign = await plane.agent.call("POST", agentApi.adopt, { token: plane.token, json });
  await held.finish();
  await open(plane, "second");
  const over = await adopt(plane, held, "second");

  expect(foreign.status).toBe(404);
  expect(over.status).toBe(404);
});

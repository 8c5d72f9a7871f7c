import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { systemClock } from "../../lib/clock.ts";
import { putResourceClass } from "../store/access.ts";
import { openStore } from "../store/store.ts";
import { AgentRegister } from "./register.ts";

test("thousands of agents are written down together, and those of a class that is gone are left out", async () => {
  const directory = await mkdtemp(join(tmpdir(), "register-"));
  const store = await openStore({ directory, clock: systemClock, onCommit: () => undefined });
  const row = { id: "1", name: "a/b", description: "", settings_json: null, created_ms: 0 };
  await store.transaction(({ db }) => putResourceClass(db, row));
  let now = 1_000;
  const register = new AgentRegister({ store, clock: { ...systemClock, now: () => now } });
  const facts = { hostname: "h", ip: "192.0.2.1", version: "1" };

  for (let index = 0; index < 5_000; index++)
    register.heard({ resourceClass: "a/b", name: `agent ${index}`, facts, used: index === 0 });
  register.heard({ resourceClass: "a/gone", name: "agent", facts });
  now = 2_000;
  register.heard({ resourceClass: "a/b", name: "agent 0" });
  const listed = await register.list({});

  expect(listed).toHaveLength(5_000);
  expect(listed[0]).toMatchObject({ name: "agent 0", hostname: "h", last_connected: "1970-01-01T00:00:02.000Z" });
  await register.list({});
  expect(await store.db.selectFrom("agent").select("name").where("used_ms", "is not", null).execute()).toEqual([
    { name: "agent 0" },
  ]);
  await store.close();
  await rm(directory, { recursive: true });
});

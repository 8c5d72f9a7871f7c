import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryControlPlane } from "../../../test/fakes/temporary-control-plane.ts";
import { systemClock } from "../../lib/clock.ts";
import { openStore } from "../store/store.ts";
import { bootstrap } from "./bootstrap.ts";

async function temporary() {
  const directory = await mkdtemp(join(tmpdir(), "bootstrap-"));
  const store = await openStore({ directory: join(directory, "data"), clock: systemClock, onCommit: () => undefined });
  let ids = 0;
  const tokenDirectory = join(directory, "tokens");
  const context = { store, clock: { ...systemClock, now: () => ids }, newId: () => `id-${(ids += 1)}` };
  return {
    tokenDirectory,
    store,
    run: () => bootstrap(context, { classes: ["local/default", "local/Big:one"], tokenDirectory }),
    token: async () => (await readFile(join(tokenDirectory, "local.default"), "utf8")).trim(),
    tokens: async () => (await store.db.selectFrom("class_token").selectAll().execute()).length,
    [Symbol.asyncDispose]: async () => {
      await store.close();
      await rm(directory, { recursive: true });
    },
  };
}

test("classes and a token file for each are made once", async () => {
  await using here = await temporary();

  await here.run();
  const first = await here.token();
  await here.run();

  expect((await readdir(here.tokenDirectory)).toSorted()).toEqual(["local.Big:one", "local.default"]);
  expect((await stat(here.tokenDirectory)).mode & 0o777).toBe(0o700);
  expect((await stat(join(here.tokenDirectory, "local.default"))).mode & 0o777).toBe(0o600);
  expect(await here.token()).toBe(first);
  expect(await here.tokens()).toBe(2);
});

test("a file that is gone or of another store is made anew, and what it held is good no more", async () => {
  await using here = await temporary();
  await here.run();
  const first = await here.token();

  await rm(join(here.tokenDirectory, "local.default"));
  await here.run();
  const second = await here.token();
  await writeFile(join(here.tokenDirectory, "local.default"), "of-another-store\n");
  await here.run();

  expect(new Set([first, second, await here.token(), "of-another-store"]).size).toBe(4);
  expect(await here.tokens()).toBe(2);
});

test("processes that start together end with one good token", async () => {
  await using here = await temporary();

  await Promise.all([here.run(), here.run(), here.run()]);

  expect((await readdir(here.tokenDirectory)).length).toBe(2);
  await here.run();
  expect(await here.tokens()).toBe(2);
});

test("an agent claims with the file's token, and settings of the class that were changed stay", async () => {
  const tokenDirectory = await mkdtemp(join(tmpdir(), "bootstrap-"));
  const options = { bootstrap: { classes: ["local/default"], tokenDirectory } };
  await using plane = await temporaryControlPlane(options);
  await plane.controlPlane.putResourceClass({ name: "local/default", settings: { unsafeRetries: true } });
  await using again = await temporaryControlPlane({ ...options, dataDirectory: join(plane.directory, "data") });

  const token = (await readFile(join(tokenDirectory, "local.default"), "utf8")).trim();

  expect(await again.agent.claim(token)).toBeUndefined();
  const store = await openStore({ directory: join(plane.directory, "data"), clock: systemClock, onCommit: () => {} });
  const row = await store.db.selectFrom("resource_class").selectAll().where("name", "=", "local/default").execute();
  expect(row[0]?.settings_json).toBe('{"unsafeRetries":true}');
  await store.close();
  await rm(tokenDirectory, { recursive: true });
});

import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { removeStoreOf, storeOf } from "../../../test/fakes/test-store.ts";
import { systemClock } from "../../lib/clock.ts";
import { openStore } from "../store/store.ts";
import { ensureAdminToken } from "./admin-token.ts";
import { authenticateUser } from "./users.ts";

async function temporary() {
  const directory = await mkdtemp(join(tmpdir(), "admin-token-"));
  const where = { directory, ...(await storeOf(directory)) };
  const store = await openStore({ ...where, clock: systemClock, onCommit: () => undefined });
  const file = join(directory, "admin-token");
  return {
    directory,
    store,
    file,
    ensure: () => ensureAdminToken(file, { store, clock: systemClock }),
    token: async () => (await readFile(file, "utf8")).trim(),
    user: (headers: Record<string, string>) => authenticateUser(store.db, headers).catch(() => "nobody"),
    [Symbol.asyncDispose]: async () => {
      await store.close();
      await removeStoreOf(directory);
      await rm(directory, { recursive: true });
    },
  };
}

test("the first start makes a token for its owner's eyes, of which the store keeps the hash alone", async () => {
  await using here = await temporary();

  await here.ensure();
  const token = await here.token();
  await here.ensure();

  expect((await stat(here.file)).mode & 0o777).toBe(0o600);
  expect(token).toMatch(/^[\w-]{43}$/);
  expect(await here.token()).toBe(token);
  expect(JSON.stringify(await here.store.db.selectFrom("user_token").selectAll().execute())).not.toContain(token);
  for (const headers of [
    { authorization: `Bearer ${token}` },
    { authorization: token },
    { "circle-token": token },
    { "circle-token": token, authorization: "Bearer other" },
  ])
    expect(await here.user(headers)).toBe("admin");
  expect(await here.user({ authorization: `Bearer ${token}x` })).toBe("nobody");
  expect(await here.user({})).toBe("nobody");
});

test("processes that start together take one token", async () => {
  await using here = await temporary();

  await Promise.all([here.ensure(), here.ensure(), here.ensure()]);

  expect(await here.user({ "circle-token": await here.token() })).toBe("admin");
  expect((await readdir(here.directory)).filter((name) => name.startsWith("admin-token"))).toEqual(["admin-token"]);
});

test("a token that is taken away stays good; one that is written replaces it", async () => {
  await using here = await temporary();
  await here.ensure();
  const first = await here.token();

  await rm(here.file);
  await here.ensure();
  const away = await here.user({ "circle-token": first });
  const second = "0123456789abcdef0123456789abcdef";
  await writeFile(here.file, `${second}\n`);
  await chmod(here.file, 0o644);
  await here.ensure();

  expect(away).toBe("admin");
  expect(await here.user({ "circle-token": first })).toBe("nobody");
  expect(await here.user({ "circle-token": second })).toBe("admin");
  expect((await stat(here.file)).mode & 0o777).toBe(0o600);
});

test.each(["", "short", "two words that are long enough for a token"])("%o in the file is no token", async (text) => {
  await using here = await temporary();
  await writeFile(here.file, text);

  await expect(here.ensure()).rejects.toThrow("admin-token holds no token");
});

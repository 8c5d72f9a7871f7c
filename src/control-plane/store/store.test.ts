import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sql } from "kysely";
import { expect, test } from "vitest";
import { removeStoreOf, storeOf } from "../../../test/fakes/test-store.ts";
import { systemClock } from "../../lib/clock.ts";
import { nextNumbers } from "./counters.ts";
import { openStore, type Store } from "./store.ts";

async function temporaryStore() {
  const parent = await mkdtemp(join(tmpdir(), "cofferdam-store-"));
  const directory = join(parent, "data");
  const told: [string, number][] = [];
  const open = async () =>
    await openStore({
      directory,
      ...(await storeOf(directory)),
      clock: systemClock,
      onCommit: (topic, count) => void told.push([topic, count]),
    });
  const store = await open();
  return {
    store,
    open,
    told,
    directory,
    [Symbol.asyncDispose]: async () => {
      await store.close();
      await removeStoreOf(directory);
      await rm(parent, { recursive: true });
    },
  };
}

test("what is stored is there when it is opened again", async () => {
  await using temporary = await temporaryStore();
  await temporary.store.transaction(({ db }) => nextNumbers(db, "n", 5));

  const again = await temporary.open();

  expect(await again.transaction(({ db }) => nextNumbers(db, "n"))).toBe(6);
  await again.close();
});

test("a transaction that fails leaves nothing and tells nobody", async () => {
  await using temporary = await temporaryStore();
  const failing = temporary.store.transaction(async (unit) => {
    await nextNumbers(unit.db, "n", 100);
    unit.notify("topic");
    throw new Error("no");
  });
  await expect(failing).rejects.toThrow("no");

  await temporary.store.transaction(async (unit) => {
    expect(await nextNumbers(unit.db, "n")).toBe(1);
    unit.notify("after");
    unit.notify("after");
  });

  expect(temporary.told).toEqual([["after", 2]]);
});

test("several that write at once wait for each other", async () => {
  await using temporary = await temporaryStore();
  const others = await Promise.all([temporary.open(), temporary.open()]);
  const write = async (store: Store): Promise<number[]> => {
    const numbers: number[] = [];
    for (let index = 0; index < 50; index++)
      numbers.push(
        await store.transaction(async ({ db }) => {
          const first = await nextNumbers(db, "n");
          await new Promise(setImmediate);
          return first;
        }),
      );
    return numbers;
  };

  const numbers = (await Promise.all([temporary.store, ...others].map(write))).flat();

  expect(numbers.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 150 }, (_unused, index) => index + 1));
  await Promise.all(others.map((store) => store.close()));
});

test("two that open a new folder at once both get a store", async () => {
  const parent = await mkdtemp(join(tmpdir(), "cofferdam-store-"));
  const directory = join(parent, "data");
  const where = { directory, ...(await storeOf(directory)) };
  const open = () => openStore({ ...where, clock: systemClock, onCommit: () => undefined });

  const stores = await Promise.all([open(), open(), open()]);

  for (const store of stores) expect(await store.transaction(({ db }) => nextNumbers(db, "n"))).toBeGreaterThan(0);
  await Promise.all(stores.map((store) => store.close()));
  await removeStoreOf(directory);
  await rm(parent, { recursive: true });
});

test("a store of a newer version is refused in words", async () => {
  await using temporary = await temporaryStore();
  await sql`insert into schema_version (version) values (99)`.execute(temporary.store.db);

  await expect(temporary.open()).rejects.toThrow("written by a newer Cofferdam (schema 99");
});

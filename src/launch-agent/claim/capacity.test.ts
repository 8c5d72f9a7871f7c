import fc from "fast-check";
import { expect, test } from "vitest";
import { Room, type Share } from "./capacity.ts";

const never = new AbortController().signal;

async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol("pending");
  await new Promise((resolve) => setImmediate(resolve));
  return (await Promise.race([promise, Promise.resolve(pending)])) !== pending;
}

test("gives no more places than there are", async () => {
  const room = new Room({ tasks: 1, memoryBytes: 10, cpus: 1 });
  await room.takePlace(never);

  const second = room.takePlace(never);
  expect(await isSettled(second)).toBe(false);
  room.leavePlace();

  await second;
  expect(room.placesTaken).toBe(1);
});

test("gives no place while somebody waits in line for a share", async () => {
  const room = new Room({ tasks: 5, memoryBytes: 10, cpus: 5 });
  const first = room.admit({ memoryBytes: 8, cpus: 1 });
  const second = room.admit({ memoryBytes: 8, cpus: 1 });

  const place = room.takePlace(never);
  expect(await isSettled(place)).toBe(false);
  first.release();

  await second.admitted;
  await place;
});

test("admits what is larger than everything once it is alone", async () => {
  const room = new Room({ tasks: 5, memoryBytes: 10, cpus: 1 });
  const small = room.admit({ memoryBytes: 1, cpus: 1 });
  const huge = room.admit({ memoryBytes: 1000, cpus: 64 });
  expect(await isSettled(huge.admitted)).toBe(false);

  small.release();

  await huge.admitted;
});

test("lets the line go on when somebody in front gives up", async () => {
  const room = new Room({ tasks: 5, memoryBytes: 10, cpus: 9 });
  room.admit({ memoryBytes: 6, cpus: 1 });
  const large = room.admit({ memoryBytes: 9, cpus: 1 });
  const small = room.admit({ memoryBytes: 2, cpus: 1 });
  expect(await isSettled(small.admitted)).toBe(false);

  large.release();

  await small.admitted;
});

test("ends a wait with its signal's reason", async () => {
  const room = new Room({ tasks: 0, memoryBytes: 1, cpus: 1 });
  const abort = new AbortController();
  const place = room.takePlace(abort.signal);

  abort.abort(new Error("draining"));

  await expect(place).rejects.toThrow("draining");
});

test("never promises memory twice, and leaves nobody waiting, in any order of coming and going", async () => {
  const share = fc.record({ memoryBytes: fc.integer({ min: 1, max: 12 }), cpus: fc.integer({ min: 1, max: 3 }) });
  await fc.assert(
    fc.asyncProperty(fc.array(share, { maxLength: 20 }), async (shares) => {
      const room = new Room({ tasks: 99, memoryBytes: 10, cpus: 4 });
      const running = new Set<Share>();
      const run = async (wanted: Share) => {
        const { admitted, release } = room.admit(wanted);
        await admitted;
        running.add(wanted);
        const used = [...running].reduce((sum, { memoryBytes }) => sum + memoryBytes, 0);
        expect(used <= 10 || running.size === 1).toBe(true);
        await Promise.resolve();
        running.delete(wanted);
        release();
      };

      await Promise.all(shares.map(run));

      expect(running.size).toBe(0);
    }),
  );
});

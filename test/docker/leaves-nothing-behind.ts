import { afterAll, beforeAll } from "vitest";
import { assertNoLeaks, type Snapshot, takeSnapshot } from "./leak-check.ts";

/** After the tests of a file, containers, networks and volumes are what they were before. */
export function leavesNothingBehind(): void {
  let before: Snapshot;

  beforeAll(async () => {
    before = await takeSnapshot();
  });

  afterAll(async () => {
    await assertNoLeaks(before);
  });
}

import { systemClock } from "../../src/lib/clock.ts";

/** Looks every few milliseconds. Where something tells of what it does, that is what to wait for. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await systemClock.sleep(2);
}

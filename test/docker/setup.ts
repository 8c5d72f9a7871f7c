import { engineUnderTest } from "./engine-under-test.ts";
import { assertNoLeaks, takeSnapshot } from "./leak-check.ts";

const needed = ["debian:bookworm-slim", "busybox:latest"];

/** Vitest's global setup of the projects that need an engine: fails where there is none, and where a suite leaves something. */
export async function setup(): Promise<() => Promise<void>> {
  const engine = await engineUnderTest();
  const signal = AbortSignal.timeout(20_000);
  await engine.info(signal);
  for (const image of needed) {
    if ((await engine.image(image, signal)) === undefined)
      throw new Error(`The engine has no image ${image}. Run \`sh scripts/setup.sh --for test\`.`);
  }
  const before = await takeSnapshot();
  return async () => await assertNoLeaks(before);
}

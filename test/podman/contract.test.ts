import { realEngine } from "../docker/contract-subject.ts";
import { engineContract } from "../engine/contract.ts";
import unmet from "./unmet.json" with { type: "json" };

const { engine } = await realEngine();
const { cgroupVersion, kind } = await engine.info(AbortSignal.timeout(30_000));
if (kind !== "podman")
  throw new Error(`This wants Podman, and not ${kind}: COFFERDAM_TEST_ENGINE=$(sh scripts/setup-podman.sh start)`);
const here = Object.entries(unmet).flatMap(([title, why]) =>
  "cgroupVersion" in why && why.cgroupVersion !== cgroupVersion ? [] : [[title, why.reason]],
);

engineContract("podman", realEngine, Object.fromEntries(here));

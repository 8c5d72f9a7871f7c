import { openControlPlane } from "../../src/control-plane/index.ts";
import { Secret } from "../../src/lib/secret.ts";
import { ManualClock } from "./manual-clock.ts";

/** A control plane that is killed while it writes the pipeline of an occurrence. Arguments: data directory, time before, time of it, database. */
const [dataDirectory = "", before = "", at = "", database] = process.argv.slice(2);
const clock = new ManualClock(before);
await openControlPlane({
  dataDirectory,
  ...(database === undefined ? {} : { database: { url: new Secret(database) } }),
  clock,
  schedules: true,
  route: () => {
    process.kill(process.pid, "SIGKILL");
    return undefined;
  },
  sources: { open: () => Promise.reject(new Error("no sources in this test")) },
});
await clock.set(at);

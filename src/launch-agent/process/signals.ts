import type { LaunchAgent } from "../launch-agent.ts";
import type { Log } from "../log.ts";

/** Where signals come from: the process. */
export interface SignalSource {
  on(signal: "SIGTERM" | "SIGINT", listener: () => void): unknown;
}

/** First: finish what runs. Second: cancel it. Third: at once. */
export function obeySignals(
  source: SignalSource,
  agent: Pick<LaunchAgent, "drain" | "stop" | "status">,
  log: Log,
): void {
  let count = 0;
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    source.on(signal, () => {
      count++;
      const { running } = agent.status();
      if (count === 1) {
        log.info({ signal, running }, "draining: no new tasks; a second signal cancels those that run");
        void agent.drain();
        return;
      }
      log.warn({ signal, running }, count === 2 ? "cancelling what runs" : "stopping at once");
      void agent.stop(`the launch agent was stopped (${signal})`);
    });
  }
}

import type { TextSink, View } from "./view.ts";

/** `--json`: every event as one line, for programs. Their shapes are in src/protocol/watch.ts. */
export function jsonView(stdout: TextSink): View {
  return {
    event: (event) => {
      stdout.write(`${JSON.stringify(event)}\n`);
    },
    notice: () => {},
    end: async () => {},
  };
}

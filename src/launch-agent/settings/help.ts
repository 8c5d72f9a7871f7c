import { z } from "zod";
import { Options } from "../options.ts";
import { configPlaces } from "./config-file.ts";
import { exitCode, exitMeanings } from "./exit-codes.ts";
import { names, synonyms, yamlKeys } from "./keys.ts";

/** What `--help` prints: all settings, with their defaults, and the exit codes. */
export function helpText(): string {
  const { properties = {} } = z.toJSONSchema(Options, { io: "input", unrepresentable: "any" });
  const settings = names().map((name) => {
    const { default: fallback, description = "" } = properties[name] as { default?: unknown; description?: string };
    const otherNames = [...(synonyms[name] ?? []), ...keysOf(name)].join(", ");
    const notes = [
      ...(fallback === undefined ? [] : [`default ${JSON.stringify(fallback)}`]),
      ...(otherNames === "" ? [] : [`also ${otherNames}`]),
    ];
    return `  ${name}\n      ${description}${notes.length > 0 ? ` (${notes.join("; ")})` : ""}`;
  });
  const codes = Object.entries(exitCode).map(
    ([name, code]) => `  ${String(code).padStart(3)}  ${exitMeanings[name as keyof typeof exitCode]}`,
  );
  return `Usage: launch-agent [--config FILE] [--check]
       launch-agent health [live|ready]

Claims tasks of its resource classes, and runs each in a container of its own.

  --config FILE   settings in YAML; without it CIRCLECI_RUNNER_CONFIG, or the first of
                  ${configPlaces.join("\n                  ")}
  --check         looks at the settings, the engine and the control plane, says what is wrong, and ends
  --version       prints the version
  --help          prints this
  health          asks the agent on this host for /live, or /ready: 0 when it is, 1 when it is not

Settings, from the environment. Each is also read from the file that NAME_FILE names. Those of the file go behind.
The names of CircleCI's agents mean what they meant; what has no meaning here is said at the start.

${settings.join("\n")}

Signals: the first SIGTERM or SIGINT drains (running tasks end first), the second cancels them, the third does not wait for that.

Exit codes:
${codes.join("\n")}
`;
}

function keysOf(name: string): string[] {
  return [...yamlKeys].flatMap(([key, itsName]) => (itsName === name ? [`\`${key}\` in the file`] : []));
}

import { Command } from "commander";
import type { DoctorOptions } from "./doctor/options.ts";
import type { Cli } from "./io.ts";

export function doctorCommand(cli: Cli): Command {
  return new Command("doctor")
    .summary("say whether this host is fit to run tasks")
    .description(
      "Looks at the engine (version, known holes of it and its runtime, what it can limit, seccomp, storage, clock), at the disk, at the\n" +
        "control plane, and runs one closed-off container. Every finding says what to do about it. Changes nothing.",
    )
    .option("--host <URL>", "the control plane to reach (CIRCLE_HOST, or the launch agent's CIRCLECI_RUNNER_API_URL)")
    .option("--json", "the findings as one JSON document", false)
    .addHelpText("after", "\nExit codes: 0 fit, perhaps with warnings · 1 not fit · 2 bad usage · 3 no engine")
    .action(async (options: DoctorOptions) => {
      const { runDoctor } = await import("./doctor/run.ts");
      cli.exit(await runDoctor(options, cli.io));
    });
}

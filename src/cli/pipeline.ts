import { Command } from "commander";
import { Acted, operatorApi } from "../protocol/operator-api.ts";
import { hostCommand, withHost } from "./host/command.ts";
import type { HostOptions } from "./host/options.ts";
import type { Cli } from "./io.ts";

const pipeline = ["PIPELINE", "its number, or its id"] as const;

export function followCommand(cli: Cli): Command {
  const command = new Command("follow")
    .summary("show what happens in a pipeline, until it ends")
    .description("Shows a pipeline from its start on, and goes on until it ends. Ctrl-C leaves it running.")
    .argument(...pipeline)
    .option("--json", "one event a line", false);
  return hostCommand(command)
    .addHelpText("after", "Of the pipeline: 0 green · 1 red · 3 infrastructure failed · 130 no longer followed")
    .action((named: string, options: HostOptions & { json: boolean }) =>
      withHost(cli, options, async (host) => {
        const { followPipeline } = await import("./pipeline/follow.ts");
        cli.exit(await followPipeline(host, named, { io: cli.io, json: options.json }));
      }),
    );
}

export function cancelCommand(cli: Cli): Command {
  const command = new Command("cancel")
    .summary("cancel a pipeline")
    .description("Cancels a pipeline: what waits does not start, and what runs is ended.")
    .argument(...pipeline)
    .option("--reason <WORDS>", "what its jobs say");
  return hostCommand(command).action((named: string, options: HostOptions & { reason?: string }) =>
    withHost(cli, options, async (host) => {
      const path = operatorApi.cancel(encodeURIComponent(named));
      const { number } = await host.call({ method: "POST", path, body: { reason: options.reason }, schema: Acted });
      cli.io.stdout.write(`Pipeline ${number} is being cancelled.\n`);
    }),
  );
}

export function approveCommand(cli: Cli): Command {
  const command = new Command("approve")
    .summary("let an approval job pass")
    .description("Lets a job of a pipeline pass that waits for approval.")
    .argument(...pipeline)
    .argument("JOB", "the job's name");
  return hostCommand(command).action((named: string, job: string, options: HostOptions) =>
    withHost(cli, options, async (host) => {
      const path = operatorApi.approve(encodeURIComponent(named));
      const { number } = await host.call({ method: "POST", path, body: { job }, schema: Acted });
      cli.io.stdout.write(`Approved ${job} of pipeline ${number}.\n`);
    }),
  );
}

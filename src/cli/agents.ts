import { Command } from "commander";
import { systemClock } from "../lib/clock.ts";
import { operatorApi, RunnerItems } from "../protocol/operator-api.ts";
import { hostCommand, withHost } from "./host/command.ts";
import type { HostOptions } from "./host/options.ts";
import { ago, table, writeJson } from "./host/table.ts";
import type { Cli } from "./io.ts";

interface Options extends HostOptions {
  resourceClass?: string;
  json: boolean;
}

export function agentsCommand(cli: Cli): Command {
  const command = new Command("agents")
    .summary("list the launch agents of a control plane")
    .description("Lists launch agents that have called within 12 hours, and how many tasks each runs.")
    .option("-r, --resource-class <NAME>", "only those of this class")
    .option("--json", "as JSON, with the ids of what they run", false);
  return hostCommand(command).action((options: Options) =>
    withHost(cli, options, async (host) => {
      const query = { "resource-class": options.resourceClass };
      const { items } = await host.call({ path: operatorApi.agents, query, schema: RunnerItems });
      if (options.json) return writeJson(cli.io, items);
      const rows = items.map((item) => [
        item.name,
        item.resource_class,
        item.hostname,
        item.version,
        ago(item.last_connected, systemClock.now()),
        String(item.running_tasks.length),
      ]);
      cli.io.stdout.write(table(["NAME", "RESOURCE CLASS", "HOST", "VERSION", "LAST CONTACT", "RUNNING"], rows));
    }),
  );
}

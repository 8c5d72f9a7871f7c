import { Command } from "commander";
import { operatorApi, TaskList } from "../protocol/operator-api.ts";
import { hostCommand, withHost } from "./host/command.ts";
import type { HostOptions } from "./host/options.ts";
import { span, table, writeJson } from "./host/table.ts";
import type { Cli } from "./io.ts";

interface Options extends HostOptions {
  resourceClass?: string;
  limit: string;
  json: boolean;
}

export function tasksCommand(cli: Cli): Command {
  const command = new Command("tasks")
    .summary("list the tasks that run or wait in a control plane")
    .description("Lists tasks that have not ended: those that run, then those that wait, in the order of the queue.")
    .option("-r, --resource-class <NAME>", "only those of this class")
    .option("-n, --limit <COUNT>", "list so many of them; all are counted", "1000")
    .option("--json", "as JSON: {unclaimed, running, items}", false);
  return hostCommand(command).action((options: Options) =>
    withHost(cli, options, async (host) => {
      const query = { "resource-class": options.resourceClass, limit: options.limit };
      const list = await host.call({ path: operatorApi.tasks, query, schema: TaskList });
      if (options.json) return writeJson(cli.io, list);
      const rows = list.items.map((item) => [
        item.status,
        String(item.pipeline),
        item.workflow,
        item.job,
        String(item.index),
        item.resource_class,
        String(item.attempt),
        item.waited_ms === null ? "" : span(item.waited_ms),
        item.agent ?? "",
      ]);
      const headings = [
        "STATUS",
        "PIPELINE",
        "WORKFLOW",
        "JOB",
        "NODE",
        "RESOURCE CLASS",
        "ATTEMPT",
        "WAITED",
        "AGENT",
      ];
      if (rows.length > 0) cli.io.stdout.write(table(headings, rows));
      cli.io.stdout.write(`${list.running} running, ${list.unclaimed} waiting\n`);
    }),
  );
}

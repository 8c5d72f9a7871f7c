import { Command } from "commander";
import type { Cli } from "../io.ts";

export function explainCommand(cli: Cli): Command {
  return new Command("explain")
    .summary("explain the code of a finding")
    .description("Explains a code such as unknown-job, with a config that gives it. Without a code: lists them all.")
    .argument("[CODE]", "the code")
    .addHelpText("after", "\nExit codes: 0 explained · 2 there is no such code, or bad usage")
    .action(async (code?: string) => {
      const { explanation, listOfCodes } = await import("./explanation.ts");
      cli.io.stdout.write(code === undefined ? listOfCodes() : await explanation(code));
    });
}

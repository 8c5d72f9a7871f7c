import { Command } from "commander";
import { type Cli, exitCode } from "../io.ts";
import { collected } from "./input.ts";

export function evalCommand(cli: Cli): Command {
  return (
    new Command("eval")
      .summary("evaluate an expression")
      .description(
        "Evaluates an expression such as 'pipeline.git.branch == \"main\" and 10 or 1' and prints its value as JSON.\n" +
          "A name whose value is null is known, and undefined; a name without a value is an error.",
      )
      .argument("EXPRESSION", "the expression, without << >>")
      .option("--values <V>", "name=value, a file of YAML or JSON, or a map (repeatable)", collected)
      // What begins with a minus is no option but a bad expression, and has to be told as one.
      .allowUnknownOption()
      .addHelpText("after", "\nExit codes: 0 it has a value, perhaps null · 2 it is wrong, or bad usage")
      .action(async (expression: string, { values: given }: { values?: string[] }) => {
        const { evaluate, renderExpressionError, unknownName } = await import("../../config/expression/index.ts");
        const values = await readNames(cli, given);
        const result = evaluate(expression, (name) => (Object.hasOwn(values, name) ? values[name] : unknownName));
        if (result.ok) {
          cli.io.stdout.write(`${jsonOf(result.value)}\n`);
          return;
        }
        cli.io.stdout.write(`${JSON.stringify({ error: result.error })}\n`);
        cli.io.stderr.write(`${renderExpressionError(result.error, expression)}\n`);
        cli.exit(exitCode.usage);
      })
  );
}

/** By full name, whether the values were given flat or nested. */
async function readNames(cli: Cli, given: readonly string[] | undefined): Promise<Record<string, unknown>> {
  const { flatten, readValues, typedValues } = await import("./values.ts");
  const values = typedValues(await readValues(cli.io, given));
  return { ...flatten(values), ...values };
}

function jsonOf(value: unknown): string {
  if (typeof value === "bigint") return String(value);
  return JSON.stringify(value ?? null);
}

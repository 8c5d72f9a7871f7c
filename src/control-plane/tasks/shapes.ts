import { z } from "zod";
import { parseDuration } from "../../lib/duration.ts";

/** YAML writes numbers and booleans where a text is meant. */
export const Text = z.union([z.string(), z.number(), z.boolean()]).transform(String);
export const NonEmpty = Text.refine((text) => text !== "", "must not be empty");
export const Duration = z.union([z.string(), z.number()]).transform((text, context) => {
  const ms = parseDuration(text);
  if (ms === undefined)
    context.addIssue({ code: "custom", message: `"${text}" is no duration such as 30s, 20m or 1.25h` });
  return ms ?? 0;
});
const Variables = z.record(
  z.string(),
  z.union([Text, z.null()]).transform((value) => value ?? ""),
);
/** A map, or a list of maps and of `NAME=value`. */
export const Environment = z
  .union([Variables, z.array(z.union([Variables, z.string()])), z.null()])
  .transform((environment) => {
    if (!Array.isArray(environment)) return environment ?? {};
    return Object.assign({}, ...environment.map((entry) => (typeof entry === "string" ? assignment(entry) : entry)));
  })
  .pipe(z.record(z.string(), z.string()));
export const CommandLine = z
  .union([Text, z.array(Text)])
  .transform((line) => (Array.isArray(line) ? line.join(" ") : line));

/** What is wrong with the first value that has another shape, for a message to people. */
export function shapeProblem(error: z.ZodError): string {
  const [issue] = error.issues;
  const path = issue?.path.join(".") ?? "";
  return `is malformed: ${path === "" ? "" : `${path}: `}${issue?.message ?? "it does not have the shape that it needs"}`;
}

function assignment(entry: string): Record<string, string> {
  const equals = entry.indexOf("=");
  return equals < 0 ? { [entry]: "" } : { [entry.slice(0, equals)]: entry.slice(equals + 1) };
}

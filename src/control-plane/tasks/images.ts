import { z } from "zod";
import type { CompiledImage } from "../../config/compiled.ts";
import type { ImageSpec } from "../../protocol/task.ts";
import { MalformedJob } from "./malformed.ts";
import { Environment, shapeProblem } from "./shapes.ts";

const Words = z
  .union([z.string(), z.array(z.union([z.string(), z.number(), z.boolean()]).transform(String))])
  .nullish()
  .transform((value) => (typeof value === "string" ? shellWords(value) : value));
const Image = z.object({
  image: z.string().min(1),
  name: z.string().nullish(),
  user: z.union([z.string(), z.number()]).transform(String).nullish(),
  entrypoint: Words,
  command: Words,
  environment: Environment.nullish(),
  auth: z.object({ username: z.string(), password: z.string() }).nullish(),
  aws_auth: z.unknown().optional(),
  gcp_auth: z.unknown().optional(),
});

/** Images of a `docker:` executor. `$NAME` in credentials is taken from `variables`. Throws MalformedJob. */
export function readImages(images: readonly CompiledImage[], variables: Readonly<Record<string, string>>): ImageSpec[] {
  return images.map((image, index) => {
    const parsed = Image.safeParse(image);
    if (!parsed.success) throw new MalformedJob(`image ${index + 1} of the job ${shapeProblem(parsed.error)}`);
    const { image: name, aws_auth: aws, gcp_auth: gcp } = parsed.data;
    if (aws || gcp)
      throw new MalformedJob(
        `image ${name} is to be pulled with ${aws ? "aws_auth" : "gcp_auth"}, which cannot be done here; use auth with a user name and a password`,
      );
    return toSpec(parsed.data, variables);
  });
}

function toSpec(image: z.infer<typeof Image>, variables: Readonly<Record<string, string>>): ImageSpec {
  const spec: ImageSpec = { image: image.image, environment: image.environment ?? {} };
  if (image.name) spec.name = image.name;
  if (image.user) spec.user = image.user;
  if (image.entrypoint) spec.entrypoint = image.entrypoint;
  if (image.command) spec.command = image.command;
  if (image.auth)
    spec.auth = {
      username: substitute(image.auth.username, variables),
      password: substitute(image.auth.password, variables),
    };
  return spec;
}

function substitute(text: string, variables: Readonly<Record<string, string>>): string {
  return text.replace(/\$(?:\{(\w+)\}|(\w+))/g, (whole, braced: string | undefined, bare: string | undefined) => {
    const name = braced ?? bare ?? "";
    if (Object.hasOwn(variables, name)) return variables[name] ?? "";
    throw new MalformedJob(`the image's credentials need the variable ${whole}, which is not set for this pipeline`);
  });
}

/** Words as a shell would part them: spaces part, quotes and backslashes hold together. */
export function shellWords(line: string): string[] {
  const words: string[] = [];
  const token = /\s*((?:[^\s"'\\]+|"(?:[^"\\]|\\.)*"|'[^']*'|\\.)+)/gsy;
  for (let match = token.exec(line); match; match = token.exec(line)) words.push(unquote(match[1] ?? ""));
  return words;
}

function unquote(word: string): string {
  return word.replace(
    /"((?:[^"\\]|\\.)*)"|'([^']*)'|\\(.)/gs,
    (_whole, double?: string, single?: string, escaped?: string) =>
      double === undefined ? (single ?? escaped ?? "") : double.replace(/\\(["\\$`])/g, "$1"),
  );
}

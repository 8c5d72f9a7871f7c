import type { NewPipeline } from "../control-plane.ts";

/** The job ends as `unauthorized`, as on CircleCI. */
export class UnknownContext extends Error {
  override name = "UnknownContext";
}

/** CircleCI gives it to every organization. */
const alwaysThere = "org-global";

/** A pipeline's variables with those of a job's contexts over them, later contexts over earlier ones. Throws UnknownContext. */
export function contextsOf(
  names: readonly string[],
  {
    contexts = {},
    contextsNotKept = [],
    environment,
    secretNames,
  }: Pick<NewPipeline, "contexts" | "contextsNotKept" | "environment" | "secretNames">,
): Pick<NewPipeline, "environment" | "secretNames"> {
  const missing = names.filter((name) => name !== alwaysThere && !Object.hasOwn(contexts, name));
  const forgotten = missing.filter((name) => contextsNotKept.includes(name));
  if (forgotten.length > 0)
    throw new UnknownContext(
      `values of the context ${inWords(forgotten)} are not kept for runs that a schedule starts`,
    );
  if (missing.length > 0) throw new UnknownContext(`there is no context ${inWords(missing)} here`);
  const variables = names.map((name) => contexts[name] ?? {});
  return {
    environment: Object.assign({}, environment, ...variables) as Record<string, string>,
    secretNames: [...new Set([...secretNames, ...variables.flatMap(Object.keys)])],
  };
}

function inWords(names: readonly string[]): string {
  return names.map((name) => `"${name}"`).join(", ");
}

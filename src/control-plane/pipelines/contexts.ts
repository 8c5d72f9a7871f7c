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
  { contexts = {}, environment, secretNames }: Pick<NewPipeline, "contexts" | "environment" | "secretNames">,
): Pick<NewPipeline, "environment" | "secretNames"> {
  const missing = names.filter((name) => name !== alwaysThere && !Object.hasOwn(contexts, name));
  if (missing.length > 0)
    throw new UnknownContext(`there is no context ${missing.map((name) => `"${name}"`).join(", ")} here`);
  const variables = names.map((name) => contexts[name] ?? {});
  return {
    environment: Object.assign({}, environment, ...variables) as Record<string, string>,
    secretNames: [...new Set([...secretNames, ...variables.flatMap(Object.keys)])],
  };
}

import { nearest } from "../../lib/nearest.ts";
import { foreign, names, synonyms } from "./keys.ts";

/** Set by engines for linked containers, by whatever name those have. */
const ofEngines = /_(PORT|SERVICE_HOST|SERVICE_PORT)(_|$)/;
const others = ["CIRCLECI_RUNNER_CONFIG"];

/**
 * Names in the environment that look like settings of ours and are none. Only worth a word: an environment is often shared with other
 * programs.
 */
export function strangeNames(environment: Readonly<Record<string, string | undefined>>): string[] {
  const single = [...names(), ...Object.values(synonyms).flat(), ...foreign.flatMap((each) => each.environment)];
  const known = new Set([...others, ...single.flatMap((name) => [name, `${name}_FILE`])]);
  return Object.keys(environment).flatMap((name) => {
    if (known.has(name) || !/^(CIRCLECI_RUNNER|LAUNCH_AGENT|COFFERDAM)_/.test(name) || ofEngines.test(name)) return [];
    const meant = nearest(name, known);
    return [`${name.slice(0, 100)} is no setting.${meant ? ` Did you mean ${meant}?` : ""}`];
  });
}

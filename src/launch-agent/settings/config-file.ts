import type { Files } from "./files.ts";

/** Where a YAML file is looked for when none is named. */
export const configPlaces = [
  "/etc/cofferdam/launch-agent-config.yaml",
  "/etc/circleci-runner/circleci-runner-config.yaml",
  "/etc/opt/circleci/launch-agent-config.yaml",
  "/opt/circleci/launch-agent-config.yaml",
];

export interface Sources {
  environment: Readonly<Record<string, string | undefined>>;
  /** As `--config` says. */
  configFile?: string;
  files: Files;
}

/** The YAML file that is named, or the first one that is there. */
export function configFileOf({ environment, configFile, files }: Sources): string | undefined {
  return (configFile ?? environment["CIRCLECI_RUNNER_CONFIG"]) || configPlaces.find((place) => files.exists(place));
}

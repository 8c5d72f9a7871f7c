import { z } from "zod";

const json = z.record(z.string(), z.unknown());

/** A container as the engine describes it, with all that a copy of it needs. What is not named here goes on as it is. */
export const CopiedAnswer = z.object({
  Id: z.string(),
  Name: z.string(),
  Image: z.string(),
  State: z.object({ Running: z.boolean() }),
  Config: z.looseObject({
    Image: z.string(),
    Hostname: z.string().default(""),
    Env: z.array(z.string()).nullish(),
    Labels: z.record(z.string(), z.string()).nullish(),
  }),
  HostConfig: z.looseObject({
    NetworkMode: z.string().default(""),
    RestartPolicy: z.object({ Name: z.string() }).nullish(),
    PortBindings: json.nullish(),
  }),
  NetworkSettings: z.object({ Networks: z.record(z.string(), Endpoint()).nullish() }),
});
export type CopiedAnswer = z.infer<typeof CopiedAnswer>;

export const ImageConfigAnswer = z.object({ Config: json.nullish() });

export interface CopyOptions {
  container: CopiedAnswer;
  /** The Config of the image that the container is of. */
  oldImage: Record<string, unknown>;
  image: string;
  environment: Readonly<Record<string, string>>;
}

/** Decided by an image, unless somebody decided otherwise. */
const fromImage = [
  "Cmd",
  "Entrypoint",
  "User",
  "WorkingDir",
  "Healthcheck",
  "StopSignal",
  "ExposedPorts",
  "Volumes",
  "Shell",
];

/** The body that creates the copy. Pure. The first network is in it; the engine takes the others one by one. */
export function copyBody(options: CopyOptions): { body: object; networks: Record<string, object> } {
  const { container, oldImage, image } = options;
  const { Config, HostConfig } = container;
  const config: Record<string, unknown> = { ...Config, Image: image };
  for (const key of fromImage) if (isSame(Config[key], oldImage[key])) delete config[key];
  // The engine's own choice: the copy has an id of its own.
  if (container.Id.startsWith(Config.Hostname)) delete config["Hostname"];
  const [first, ...others] = networksOf(container);
  return {
    body: {
      ...config,
      Env: environment(options),
      Labels: without(Config.Labels ?? {}, oldImage["Labels"]),
      HostConfig: { ...HostConfig, RestartPolicy: { Name: "no" } },
      ...(first ? { NetworkingConfig: { EndpointsConfig: Object.fromEntries([first]) } } : {}),
    },
    networks: Object.fromEntries(others),
  };
}

function environment({ container, oldImage, environment: added }: CopyOptions): string[] {
  const inherited = new Set(Array.isArray(oldImage["Env"]) ? oldImage["Env"] : []);
  const names = new Set(Object.keys(added));
  const kept = (container.Config.Env ?? []).filter(
    (entry) => !inherited.has(entry) && !names.has(entry.slice(0, entry.indexOf("="))),
  );
  return [...kept, ...Object.entries(added).map(([name, value]) => `${name}=${value}`)];
}

/** In an order in which the one that the container was made with comes first. */
function networksOf({ Id, HostConfig, NetworkSettings }: CopiedAnswer): [string, object][] {
  const { NetworkMode } = HostConfig;
  if (NetworkMode === "host" || NetworkMode === "none" || NetworkMode.startsWith("container:")) return [];
  return Object.entries(NetworkSettings.Networks ?? {})
    .toSorted(([a], [b]) => Number(b === NetworkMode) - Number(a === NetworkMode))
    .map(([name, { Aliases, ...endpoint }]) => {
      const aliases = (Aliases ?? []).filter((alias) => !Id.startsWith(alias));
      return [name, { ...endpoint, ...(aliases.length > 0 ? { Aliases: aliases } : {}) }];
    });
}

/** What was asked for, and not what came of it: addresses and ids are the engine's. */
function Endpoint() {
  return z.object({
    IPAMConfig: json.nullish(),
    Links: z.array(z.string()).nullish(),
    Aliases: z.array(z.string()).nullish(),
    DriverOpts: json.nullish(),
  });
}

function without(labels: Record<string, string>, inherited: unknown): Record<string, string> {
  const known = json.safeParse(inherited).data ?? {};
  return Object.fromEntries(Object.entries(labels).filter(([name, value]) => known[name] !== value));
}

function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a ?? null) === JSON.stringify(b ?? null);
}

import { z } from "zod";
import { EngineError } from "../engine.ts";

/** What we read of the engine's answers. Everything else in them is dropped here. */
const strings = z
  .array(z.string())
  .nullish()
  .transform((list) => list ?? []);
const labels = z
  .record(z.string(), z.string())
  .nullish()
  .transform((map) => map ?? {});

export const VersionAnswer = z.object({
  Version: z.string(),
  ApiVersion: z.string(),
  MinAPIVersion: z.string().optional(),
  Arch: z.string(),
  Components: z.array(z.object({ Name: z.string() })).nullish(),
});
export type VersionAnswer = z.infer<typeof VersionAnswer>;

export const InfoAnswer = z.object({
  NCPU: z.int(),
  MemTotal: z.int(),
  CgroupVersion: z.string().optional(),
  Runtimes: z.record(z.string(), z.unknown()).nullish(),
  DockerRootDir: z.string().optional(),
});

export const ImageAnswer = z.object({
  Id: z.string(),
  Architecture: z.string(),
  RepoTags: strings,
  RepoDigests: strings,
  Config: z
    .object({
      User: z.string().optional(),
      Env: strings,
      Entrypoint: strings,
      Cmd: strings,
      Labels: labels,
    })
    .nullish(),
});
export type ImageAnswer = z.infer<typeof ImageAnswer>;

export const ImageListAnswer = z.array(
  z.object({ Id: z.string(), RepoTags: strings, RepoDigests: strings, Size: z.number(), Created: z.number() }),
);

/** Of the same list as `ContainerListAnswer`: what a container was made of. */
export const ImageUsersAnswer = z.array(z.object({ ImageID: z.string() }));

export const CreatedAnswer = z.object({ Id: z.string().min(1) });

export const WaitAnswer = z.object({
  StatusCode: z.int(),
  Error: z.object({ Message: z.string() }).nullish(),
});

export const InspectAnswer = z.object({
  Id: z.string(),
  Name: z.string(),
  Created: z.string(),
  State: z.object({
    Running: z.boolean(),
    Paused: z.boolean().optional(),
    Status: z.string().optional(),
    OOMKilled: z.boolean().optional(),
    Error: z.string().optional(),
  }),
  Config: z.object({ Labels: labels }),
});

export type InspectAnswer = z.infer<typeof InspectAnswer>;

export const ContainerListAnswer = z.array(
  z.object({ Id: z.string(), Names: strings, State: z.string(), Labels: labels }),
);

export const NetworkListAnswer = z.array(
  z.object({
    Id: z.string(),
    Name: z.string(),
    Created: z.string().default(""),
    Driver: z.string(),
    EnableIPv6: z.boolean().default(false),
    Internal: z.boolean().default(false),
    Labels: labels,
    Options: labels,
    IPAM: z.object({
      Config: z
        .array(z.object({ Subnet: z.string().optional() }))
        .nullish()
        .transform((list) => list ?? []),
    }),
  }),
);
export type NetworkListAnswer = z.infer<typeof NetworkListAnswer>;

/** Of a container: its named volumes. */
export const MountsAnswer = z.object({
  Mounts: z
    .array(z.object({ Name: z.string().optional() }))
    .nullish()
    .transform((list) => list ?? []),
});

export const VolumeListAnswer = z.object({
  Volumes: z
    .array(z.object({ Name: z.string(), Labels: labels }))
    .nullish()
    .transform((list) => list ?? []),
});

export const VolumeAnswer = z.object({ Name: z.string(), Labels: labels });

/** Checks an answer. EngineError `failed` where it is not what engines answer. */
export function checked<T>(schema: z.ZodType<T>, answer: unknown, what: string): T {
  const result = schema.safeParse(answer);
  if (result.success) return result.data;
  throw new EngineError("failed", `${what}: the engine's answer is not understood`, { cause: result.error });
}

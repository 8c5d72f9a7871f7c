export type {
  ControlPlane,
  ControlPlaneOptions,
  ListenAddress,
  NewPipeline,
  Project,
  ResourceClass,
  Route,
  SourceProvider,
  SourceRequest,
  StoredArtifact,
} from "./control-plane.ts";
export { ControlPlaneError } from "./errors.ts";
export { openControlPlane } from "./open.ts";

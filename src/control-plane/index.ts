export { compileWith } from "./compile.ts";
export type {
  ControlPlane,
  ControlPlaneOptions,
  ListenAddress,
  NewPipeline,
  Route,
} from "./control-plane.ts";
export { ControlPlaneError } from "./errors.ts";
export { openControlPlane } from "./open.ts";

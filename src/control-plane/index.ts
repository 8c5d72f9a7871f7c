export { compileWith } from "./compile.ts";
export type {
  ControlPlane,
  ControlPlaneOptions,
  ListenAddress,
  NewPipeline,
  Route,
} from "./control-plane.ts";
export { openControlPlane } from "./open.ts";

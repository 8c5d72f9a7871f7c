/** What `cofferdam exec` was asked for. */
export interface ExecOptions {
  directory: string;
  config?: string;
  workflow?: string;
  job?: string;
  /** Project variables: their values are masked in output. */
  env: Record<string, string>;
  /** Pipeline parameters, as typed. */
  param: Record<string, string>;
  /** Files of the variables of contexts, by the contexts' names. */
  contextFile: Record<string, string>;
  tail?: string;
  /** Approval jobs that are to go on; `all` for every one. */
  approve: string[];
  /** Folders of orbs, looked at before the registry. */
  orbDir: string[];
  json: boolean;
}

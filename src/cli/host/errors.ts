import { CommandError, exitCode } from "../io.ts";

/** No answer, or none of a control plane: another try may be told something else. */
export class HostUnreachable extends CommandError {
  override name = "HostUnreachable";
  constructor(message: string, cause?: unknown) {
    super(message, { exitCode: exitCode.infrastructure, cause });
  }
}

/** The config does not compile. The message is what a terminal is to show. */
export class ConfigErrors extends CommandError {
  override name = "ConfigErrors";
  constructor(rendered: string) {
    super(rendered, { exitCode: exitCode.usage });
  }
}

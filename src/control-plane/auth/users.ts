import type { IncomingHttpHeaders } from "node:http";
import { ControlPlaneError } from "../errors.ts";
import type { Db } from "../store/store.ts";
import { findUserToken } from "../store/users.ts";
import { hashToken, sameHash } from "./tokens.ts";

/**
 * The name of the user who calls. CircleCI's clients send a token in three ways, all of which are taken: `Authorization: Bearer T`,
 * `Authorization: T` and `Circle-Token: T`. Throws ControlPlaneError `unauthorized`.
 */
export async function authenticateUser(db: Db, headers: IncomingHttpHeaders): Promise<string> {
  const token = tokenOf(headers);
  if (token === undefined)
    throw new ControlPlaneError("unauthorized", `no token: send one as \`Circle-Token: TOKEN\`; ${where}`);
  const hash = hashToken(token);
  const user = await findUserToken(db, { hash });
  if (!user || !sameHash(user.hash, hash))
    throw new ControlPlaneError("unauthorized", `this is no user token of this control plane; ${where}`);
  return user.name;
}

const where = "the administrator's is in COFFERDAM_ADMIN_TOKEN_FILE, or the file admin-token of its data directory";

function tokenOf(headers: IncomingHttpHeaders): string | undefined {
  const header = headers["circle-token"] ?? headers.authorization;
  if (typeof header !== "string") return undefined;
  return /^(?:Bearer +)?([\w~+/.=-]{1,512})$/i.exec(header)?.[1];
}

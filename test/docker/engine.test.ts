import { engineContract } from "../engine/contract.ts";
import { realEngine } from "./contract-subject.ts";

engineContract("docker", realEngine);

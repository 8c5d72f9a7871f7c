// What we use of undici. Its front door loads fetch, WebSocket and caches as well, which takes longer than all the rest.
// By path, because the name stands for this file here.
const Dispatcher = require("../../node_modules/undici/lib/dispatcher/dispatcher.js");
const api = require("../../node_modules/undici/lib/api/index.js");
// As the front door does: request, stream and the others are methods of every dispatcher.
Object.assign(Dispatcher.prototype, api);
const whole = () => require("../../node_modules/undici/index.js");

module.exports = {
  Pool: require("../../node_modules/undici/lib/dispatcher/pool.js"),
  get ProxyAgent() {
    return require("../../node_modules/undici/lib/dispatcher/proxy-agent.js");
  },
  Agent: class {
    constructor(...args) {
      return new (whole().Agent)(...args);
    }
  },
  request: (...args) => whole().request(...args),
};

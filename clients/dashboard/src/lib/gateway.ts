/** The address of the gateway: that of the page, which may lie under a path. */
export const gateway = new URL(".", location.href).href.replace(/\/$/, "");

import { mount, unmount } from "svelte";
import Orders from "./Orders.svelte";

const component = mount(Orders, { target: document.getElementById("app") });
globalThis.leave = () => unmount(component);

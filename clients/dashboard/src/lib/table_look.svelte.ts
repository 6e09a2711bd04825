// How the table of the Kitchen looks: which columns, and how high its rows are. The browser remembers it.

import { columns, type Column } from "./arranged";
import { remember, remembered } from "./memory";

class TableLook {
  compact = $state(remembered("compact") !== undefined);
  hidden = $state.raw<readonly Column[]>(columns.filter((column) => remembered("hidden")?.split(",").includes(column)));

  squeeze(compact: boolean): void {
    this.compact = compact;
    remember("compact", compact ? "1" : undefined);
  }

  toggle(column: Column): void {
    this.hidden = columns.filter((one) => (one === column) !== this.hidden.includes(one));
    remember("hidden", this.hidden.join() || undefined);
  }
}

export const tableLook = new TableLook();

//! REST, WebSocket and dashboard

// What an app imports: models, tensors and predictions, and the devices that run them.

@_exported import MIL
@_exported import Runtime

/// The version of Martlet.
public let version = "0.1.0"

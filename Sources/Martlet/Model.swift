import ModelFiles

extension Model {
    /// Reads a model from an `.mlpackage`.
    public init(contentsOf path: String) throws { self = try readModel(at: path) }

    /// Writes the model as an `.mlpackage`.
    public func write(to path: String) throws { try writeModel(self, to: path) }
}

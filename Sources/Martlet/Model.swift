import ModelFiles

extension Model {
    /// Reads a model from an `.mlpackage`. Its files may be symbolic links; refuse them for packages of strangers, which could
    /// name any file that this process can read.
    public init(contentsOf path: String, links: SymbolicLinks = .follow) throws {
        self = try readModel(at: path, links: links)
    }

    /// Writes the model as an `.mlpackage`.
    public func write(to path: String) throws { try writeModel(self, to: path) }
}

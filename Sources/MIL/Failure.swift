/// The one error type of Martlet: what kind of thing went wrong, and one sentence that says what and what would be right.
public struct Failure: Error, Sendable, Hashable, CustomStringConvertible {
    /// Raw values are the statuses of `martlet.h`.
    public enum Kind: Int32, Sendable, Hashable, CaseIterable {
        /// A value is not acceptable: a shape, a size, an option.
        case invalidArgument = 1
        /// An element type is not the one asked for.
        case wrongType = 2
        /// A file or folder does not exist.
        case notFound = 3
        /// A file exists and is not what it should be.
        case malformed = 4
        /// Correct, but not something this engine can run.
        case unsupported = 5
        /// More memory than there is, or a size above a limit, such as that of a tensor.
        case outOfMemory = 6
        /// A handle that is NULL, released or of another kind.
        case badHandle = 7
        /// An index outside its range.
        case outOfRange = 8
        /// A fault of ours.
        case bug = 9
        /// Code of the caller's that was called back failed.
        case callback = 10
    }

    public let kind: Kind
    public let message: String
    /// The file that the message names.
    public let file: String?
    /// Whether the message names the operation.
    public let namesOperation: Bool

    public init(_ kind: Kind, _ message: String, file: String? = nil) {
        self.init(kind, message, file: file, namesOperation: false)
    }

    private init(_ kind: Kind, _ message: String, file: String?, namesOperation: Bool) {
        self.kind = kind
        self.message = message
        self.file = file
        self.namesOperation = namesOperation
    }

    public var description: String { message }

    /// Failures are equal if they say the same.
    public static func == (a: Failure, b: Failure) -> Bool { a.kind == b.kind && a.message == b.message }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(kind)
        hasher.combine(message)
    }

    /// The same failure with the location in front, which may name a file.
    public func at(_ location: String, naming file: String? = nil) -> Failure {
        Failure(kind, "\(location): \(message)", file: file ?? self.file, namesOperation: namesOperation)
    }

    /// The same failure with the operation in front, unless the message names one.
    public func at(operation: String) -> Failure {
        if namesOperation { return self }
        return Failure(kind, "\(operation): \(message)", file: file, namesOperation: true)
    }

    /// The same failure with the model's file in front, unless the message names that file.
    public func at(model path: String) -> Failure {
        file == path ? self : at("The model '\(path)'", naming: path)
    }
}

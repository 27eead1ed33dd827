import MIL

/// A `.mlpackage`: a folder with a manifest, the model description and a folder of weights.
struct ModelPackage {
    let path: String
    let modelPath: String
    /// The folder that `@model_path` stands for, relative to the package.
    private let modelFolder: String
    private let links: SymbolicLinks

    private static let manifestName = "Manifest.json"
    private static let dataFolder = "Data"
    private static let author = "com.apple.CoreML"

    init(_ path: String, links: SymbolicLinks) throws {
        self.path = path
        self.links = links
        if links == .refuse { try FileSystem.refuseLink(path) }
        switch FileSystem.kind(path) {
        case nil:
            throw Failure(
                .notFound, "There is nothing at '\(path)'; a model package is a folder ending in .mlpackage.",
                file: path)
        case .folder: break
        default: throw Failure(.malformed, "'\(path)' is a file; a model package is a folder.", file: path)
        }
        guard FileSystem.exists(path + "/" + Self.manifestName) else {
            throw Failure(.malformed, "'\(path)' is not a model package: it holds no \(Self.manifestName).", file: path)
        }
        do {
            let manifest = try MappedFile(
                FileSystem.resolve(Self.manifestName, inside: path, called: "manifest", links: links))
            let document = try withExtendedLifetime(manifest) { try JSON(parsing: manifest.bytes) }
            let item = Self.dataFolder + "/" + (try Self.rootItem(document))
            modelPath = try FileSystem.resolve(item, inside: path, called: "model description", links: links)
            modelFolder = FileSystem.folder(of: item)
        } catch let failure as Failure {
            throw failure.at("The package '\(path)'", naming: path)
        }
    }

    /// The model description and every other file beside and below it, such as the weights. Folders that are links are left
    /// out: they might lead in a circle, or through a whole disk.
    var files: [String] {
        func files(below folder: String) -> [String] {
            FileSystem.names(in: folder).sorted().flatMap { name -> [String] in
                let path = folder + "/" + name
                return switch FileSystem.kind(path) {
                case .file: [path]
                case .folder where !FileSystem.isLink(path): files(below: path)
                default: []
                }
            }
        }
        return [modelPath] + files(below: path + "/" + modelFolder).filter { $0 != modelPath }
    }

    /// The path of the model description, relative to the data folder.
    private static func rootItem(_ manifest: JSON) throws -> String {
        guard let version = manifest["fileFormatVersion"]?.string, version.hasPrefix("1.") else {
            throw Failure(.malformed, "The manifest must have a fileFormatVersion of 1.0.0.")
        }
        guard let root = manifest["rootModelIdentifier"]?.string else {
            throw Failure(.malformed, "The manifest names no rootModelIdentifier.")
        }
        guard let items = manifest["itemInfoEntries"]?.members else {
            throw Failure(.malformed, "The manifest has no itemInfoEntries.")
        }
        guard let item = items.first(where: { $0.name == root })?.value["path"]?.string else {
            throw Failure(.malformed, "The manifest has no item with a path for its rootModelIdentifier '\(root)'.")
        }
        return item
    }

    /// The path of a blob file as values name it: `@model_path/weights/weight.bin`.
    func blobPath(_ name: String) throws -> String {
        let prefix = "@model_path/"
        guard name.hasPrefix(prefix) else {
            throw Failure(.malformed, "The weight file '\(name)' must be named with @model_path in front.")
        }
        let inside = String(name.dropFirst(prefix.count))
        guard !inside.hasPrefix("/") else {
            throw Failure(.malformed, "The weight file '\(name)' must be a path inside the package.")
        }
        return try FileSystem.resolve(modelFolder + "/" + inside, inside: path, called: "weight file", links: links)
    }

    /// Writes a package: `body` is given the paths of the description and of the weights, writes both files and returns
    /// their digests. All is written beside the target, then moved into place.
    static func write(
        to path: String, _ body: (_ model: String, _ weights: String) throws -> (model: Digest, weights: Digest)
    ) throws {
        var path = path
        while path.count > 1, path.hasSuffix("/") { path.removeLast() }
        let existing = FileSystem.kind(path)
        guard existing == nil || existing == .folder && FileSystem.kind(path + "/Manifest.json") == .file else {
            throw Failure(
                .invalidArgument, "'\(path)' exists and is not a model package; it is not replaced.", file: path)
        }
        let temporary = path + ".writing-\(String(UInt64.random(in: 0...UInt64.max), radix: 36))"
        let folder = temporary + "/Data/com.apple.CoreML"
        defer { FileSystem.remove(temporary) }
        for name in [temporary, temporary + "/Data", folder, folder + "/weights"] { try FileSystem.makeFolder(name) }
        let digests = try body(folder + "/model.mlmodel", folder + "/weights/weight.bin")
        let manifest = try OutputFile(temporary + "/Manifest.json")
        try manifest.write(Array(Self.manifest(model: digests.model, weights: digests.weights).pretty.utf8))
        try FileSystem.move(temporary, to: path, replacing: existing != nil)
    }

    private static func manifest(model: Digest, weights: Digest) -> JSON {
        var (model, weights) = (model, weights)
        model.add("model.mlmodel")
        weights.add("weights")
        func item(_ digest: Digest, _ name: String, _ description: String) -> JSON.Member {
            let members: [JSON.Member] = [
                .init("author", .string(author)), .init("description", .string(description)),
                .init("name", .string(name)),
                .init("path", .string(author + "/" + name)),
            ]
            return .init(digest.identifier, .object(members))
        }
        let items = [
            item(model, "model.mlmodel", "CoreML Model Specification"),
            item(weights, "weights", "CoreML Model Weights"),
        ]
        return .object([
            .init("fileFormatVersion", .string("1.0.0")), .init("itemInfoEntries", .object(items)),
            .init("rootModelIdentifier", .string(model.identifier)),
        ])
    }
}

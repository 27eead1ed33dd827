import Foundation
import MIL
import ModelFiles
import ShimControl

/// A `.mlmodelc` folder of this stand-in: a copy of the package, and a list of its files with sizes and sums.
struct CompiledModel {
    let model: Model

    private static let listName = "coremldata.bin"
    static let contentName = "model"

    /// Opens a compiled model. A folder that lacks something, or whose bytes have changed, is refused.
    init(at url: URL) throws {
        let path = url.path
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
            throw modelError(.io, "Unable to load model: there is nothing at \(path).")
        }
        guard isFolder.boolValue, url.pathExtension == "mlmodelc" else {
            throw modelError(
                .generic,
                "Unable to load model: \(path) is no compiled model. Compile it with Xcode or `MLModel.compileModel(at:)`."
            )
        }
        try CompiledModel.checkFiles(url)
        do {
            model = try CompiledModel.read(url.appendingPathComponent(CompiledModel.contentName).path)
        } catch let failure as Failure {
            throw modelError(.io, "Unable to load model: \(failure.message)")
        }
    }

    /// Reads a model from memory, as strictly as the compiler.
    init(specification: Data, blobs: [URL: Data]) throws {
        let folder = try Folder.make("asset")
        defer { try? FileManager.default.removeItem(at: folder) }
        do {
            if blobs.isEmpty {
                let file = folder.appendingPathComponent("model.mlmodel")
                try specification.write(to: file)
                model = try readModel(at: file.path)
            } else {
                try CompiledModel.writePackage(specification, blobs, folder)
                model = try readModel(at: folder.path)
            }
            try StrictRules.check(model)
        } catch let failure as Failure {
            throw modelError(.generic, "Failed to build the model from its specification: \(failure.message)")
        }
        guard model.program.functions.count == 1 else {
            throw modelError(.generic, "A model asset in memory cannot hold several functions.")
        }
    }

    private static func writePackage(_ specification: Data, _ blobs: [URL: Data], _ folder: URL) throws {
        let content = folder.appendingPathComponent("Data/com.apple.CoreML")
        try FileManager.default.createDirectory(at: content, withIntermediateDirectories: true)
        try specification.write(to: content.appendingPathComponent("model.mlmodel"))
        for (url, data) in blobs {
            let file = content.appendingPathComponent(url.relativePath.drop { $0 == "/" }.description)
            // A name made from a bare path is absolute: what counts are its last two parts.
            let place =
                url.relativePath.hasPrefix("/")
                ? content.appendingPathComponent(url.pathComponents.suffix(2).joined(separator: "/")) : file
            try FileManager.default.createDirectory(
                at: place.deletingLastPathComponent(), withIntermediateDirectories: true)
            try data.write(to: place)
        }
        let manifest =
            #"{"fileFormatVersion":"1.0.0","rootModelIdentifier":"1","itemInfoEntries":{"1":{"path":"com.apple.CoreML/model.mlmodel"}}}"#
        try Data(manifest.utf8).write(to: folder.appendingPathComponent("Manifest.json"))
    }

    static func read(_ path: String) throws -> Model {
        let file = path + ".mlmodel"
        return try readModel(at: FileManager.default.fileExists(atPath: file) ? file : path)
    }

    // MARK: The list of files

    static func writeList(in folder: URL) throws {
        let lines = try files(in: folder).map { "\($0) \(try sum(of: folder.appendingPathComponent($0)))" }
        let text = (["martlet stand-in 1"] + lines).joined(separator: "\n")
        try Data(text.utf8).write(to: folder.appendingPathComponent(listName))
    }

    private static func checkFiles(_ folder: URL) throws {
        guard let data = try? Data(contentsOf: folder.appendingPathComponent(listName)),
            let text = String(data: data, encoding: .utf8), text.hasPrefix("martlet stand-in 1\n")
        else {
            throw modelError(.io, "Unable to load model: \(folder.path) has no valid \(listName).")
        }
        for line in text.split(separator: "\n").dropFirst() {
            guard let space = line.lastIndex(of: " ") else { continue }
            let name = String(line[..<space])
            let found = try? sum(of: folder.appendingPathComponent(name))
            guard found == String(line[line.index(after: space)...]) else {
                throw modelError(.io, "Unable to load model: \(name) in \(folder.path) is missing or damaged.")
            }
        }
    }

    private static func files(in folder: URL) throws -> [String] {
        try FileManager.default.subpathsOfDirectory(atPath: folder.path).filter {
            var isFolder: ObjCBool = false
            let path = folder.appendingPathComponent($0).path
            return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && !isFolder.boolValue
                && $0 != listName
        }.sorted()
    }

    /// Size and FNV-1a over words of eight bytes.
    private static func sum(of file: URL) throws -> String {
        let data = try Data(contentsOf: file, options: .alwaysMapped)
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        data.withUnsafeBytes { bytes in
            for start in stride(from: 0, to: bytes.count / 8 * 8, by: 8) {
                hash = (hash ^ bytes.loadUnaligned(fromByteOffset: start, as: UInt64.self)) &* 0x100_0000_01b3
            }
            for byte in bytes.suffix(bytes.count % 8) { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        }
        return "\(data.count).\(String(hash, radix: 16))"
    }
}

/// Folders in the temporary directory.
enum Folder {
    static func make(_ name: String) throws -> URL {
        let place = URL(fileURLWithPath: NSTemporaryDirectory(), isDirectory: true)
            .appendingPathComponent("\(name)_\(UUID().uuidString)", isDirectory: true)
        do {
            try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
        } catch {
            throw modelError(.io, "No folder can be made at \(place.path): \(error.localizedDescription)")
        }
        return place
    }
}

/// Makes compiled models from packages.
enum ModelCompiler {
    static func compile(_ url: URL) throws -> URL {
        let isHostile = ShimControl.isHostile
        // Apple's compiler writes to the standard output of the process that calls it.
        if isHostile { FileHandle.standardOutput.write(Data("SHIM: compiling \(url.lastPathComponent)\n".utf8)) }
        if let delay = ShimControl.value("compile_delay_ms"), delay > 0 { usleep(UInt32(delay) * 1000) }
        if ShimControl.strikes("compile") { throw modelError(.generic, "SHIM: the compiler was ordered to fail.") }
        guard ["mlpackage", "mlmodel"].contains(url.pathExtension) else {
            throw modelError(.io, "\(url.path) has a name that ends neither in .mlpackage nor in .mlmodel.")
        }
        do {
            try StrictRules.check(readModel(at: url.path))
        } catch let failure as Failure {
            throw modelError(.generic, "Failed to compile \(url.lastPathComponent): \(failure.message)")
        }
        let result = try write(url)
        ShimControl.count("compiled")
        return result
    }

    private static func write(_ url: URL) throws -> URL {
        let title = url.deletingPathExtension().lastPathComponent
        let folder = try Folder.make(title).appendingPathExtension("mlmodelc")
        do {
            try FileManager.default.moveItem(at: folder.deletingPathExtension(), to: folder)
            let suffix = url.pathExtension == "mlmodel" ? ".mlmodel" : ""
            try FileManager.default.copyItem(
                at: url.resolvingSymlinksInPath(),
                to: folder.appendingPathComponent(CompiledModel.contentName + suffix))
            try CompiledModel.writeList(in: folder)
        } catch {
            try? FileManager.default.removeItem(at: folder)
            throw modelError(.io, "The compiled model cannot be written: \(error.localizedDescription)")
        }
        return folder
    }
}

import ModelFiles
import Runtime

/// Everything that Martlet keeps on disk between processes: what devices compiled, and what calibrations measured.
public struct KeptFiles: Sendable {
    public enum Kind: String, Sendable, CaseIterable {
        /// A model that a device compiled.
        case model
        /// A kernel compiled from the Metal Shading Language.
        case kernel
        /// What a calibration measured, on this or another machine and version.
        case measurements
    }

    public struct Item: Sendable, Hashable {
        public let kind: Kind
        /// The digest of what was compiled; of measurements the machine and version.
        public let name: String
        public let path: String
        public let bytes: Int
        /// Nanoseconds since 1970: when it was used last; measurements, when they were made.
        public let time: Int
    }

    public let folder: CacheFolder
    public let compiled: DiskCache

    public init(in folder: CacheFolder) {
        self.folder = folder
        compiled = DiskCache(folder: folder.path + "/compiled")
    }

    /// What is kept of one kind, or of all, the one used last first.
    public func list(_ kind: Kind? = nil) -> [Item] {
        let entries = compiled.list().map { entry in
            Item(
                kind: Self.kind(ofEntry: entry.key), name: entry.key, path: compiled.folder + "/" + entry.key,
                bytes: entry.bytes, time: entry.lastUsed)
        }
        let items = entries + measurementFiles.compactMap(item(ofMeasurements:))
        return items.filter { kind == nil || $0.kind == kind }.sorted { $0.time > $1.time }
    }

    /// Removes what is kept of one kind, or everything, and what broken processes left of it. Answers what was listed.
    @discardableResult
    public func clear(_ kind: Kind? = nil) -> [Item] {
        let items = list(kind)
        if kind != .measurements { compiled.clear { kind == nil || Self.kind(ofEntry: $0) == kind } }
        if kind == nil || kind == .measurements { measurementFiles.forEach { System.remove(folder.path + "/" + $0) } }
        return items
    }

    private static func kind(ofEntry key: String) -> Kind { key.hasPrefix("msl-") ? .kernel : .model }

    private var measurementFiles: [String] {
        System.names(in: folder.path).filter { $0.hasPrefix(Measurements.filePrefix) }
    }

    private func item(ofMeasurements file: String) -> Item? {
        let path = folder.path + "/" + file
        guard let facts = System.facts(path) else { return nil }
        let found = try? folder.read(file, limit: Measurements.largestFile).map { bytes in
            try bytes.withUnsafeBytes { try Measurements(json: JSON(parsing: $0)) }
        }
        return Item(
            kind: .measurements, name: found?.machine.words ?? "\(file), not readable", path: path, bytes: facts.bytes,
            time: found.map { $0.measuredAt &* 1_000_000_000 } ?? facts.modified)
    }
}

extension Measurements.Machine {
    fileprivate var words: String { "\(processor), \(processors) processors, \(isa), \(system), Martlet \(version)" }
}
